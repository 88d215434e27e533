/* SPDX-License-Identifier: Apache-2.0
 *
 * The number type of the engine: float in the program, double in the build that checks gradients.
 */
#ifndef MODEL_REAL_H
#define MODEL_REAL_H

#ifdef ADVISOR_DOUBLE
typedef double real;
#else
typedef float real;
#endif

#endif
