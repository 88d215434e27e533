# SPDX-License-Identifier: Apache-2.0
"""Texts for the tokenizer fixtures: written by hand, listed by rule, or mixed at random."""

import random

PROSE = [
    "The ferry left at dawn, and nobody on the quay bothered to wave.",
    "Grandmother kept three clocks in the kitchen; none of them agreed.",
    "A small, steady rain fell on the allotments while the radio talked to itself.",
    "He mended the fence with wire, patience and the wrong kind of nails.",
    "Is it late? Yes. Is it too late? Ask again in the morning!",
    "\"Don't touch that,\" said Mira -- but the lid was already open...",
    "Between the bakery and the bank there's a door that leads (so they say) to a cellar.",
    "SHOUTING DOES NOT MAKE A WEAK ARGUMENT STRONGER.",
    "mixedCase words, snake_case words, kebab-case words and Title Case Words",
    "The committee met; the committee argued; the committee adjourned until Thursday.",
    "Every evening the lighthouse keeper counted ships and wrote the number in a blue book.",
    "If the soup is cold, warm it. If the soup is warm, eat it. If there's no soup, worry.",
    "I read the manual twice and still could not find the switch",
    "What a dull, overlong, thoroughly charming little film it was.",
    "Seven swans, six geese, and a goose that thinks it is a swan.",
    "Her handwriting leaned to the left, as though walking into the wind.",
    "No refunds, no returns, no questions; cash only.",
    "The old map was wrong about the river, right about the hills and silent about the road.",
    "Copper tastes of storms, he claimed, and licked the coin to prove it.",
    "An unreasonably tall man sat down in front of me just as the play began.",
    "Please find attached the minutes, the agenda and an apology.",
    "We shall, of course, deny everything: the letters, the hats, the hot-air balloon.",
    "Once the snow had gone the garden looked smaller, and somewhat embarrassed.",
    "the quick answer is no. the long answer is also no, only longer",
    "Antidisestablishmentarianism and floccinaucinihilipilification walk into a bar.",
    "e.g. this, i.e. that, cf. the other, etc., et al.",
    "Mr. and Mrs. O'Leary of St. Ives; Dr. No; Prof. Maybe", "U.S.A., U.K., N.A.T.O., a.m., p.m.",
    "well-known state-of-the-art mother-in-law x-ray e-mail", "The end.", "to be continued\u2026",
    "\u201cCurly quotes\u201d, \u2018single ones\u2019 \u2013 an en dash \u2014 and an em dash",
    "First paragraph.\n\nSecond paragraph, after a blank line.\n\n\nThird, after two.",
    "  Indented like a quotation,\n  line after line,\n  until the margin ends.  ",
    "Trailing newline\n", "Trailing spaces   ", "Trailing tab\t", "\nLeading newline",
    "\t\tLeading tabs", "   Leading spaces", "One\ttab\tbetween\twords",
    "Windows line\r\nend of line\r\n", "Old Mac line\rend of line\r",
    "form\x0cfeed and vertical\x0btab",
]

CONTRACTIONS = [
    "I'm you're he's she'd we'll they've it's can't won't shan't",
    "I'M YOU'RE HE'S SHE'D WE'LL THEY'VE IT'S CAN'T WON'T",
    "I'm'd've y'all'd've 'tis 'twas o'clock rock'n'roll", "'s 't 're 've 'm 'll 'd",
    "'S 'T 'RE 'VE 'M 'LL 'D", "'sS 'tT 'rE 'Re 'vE 'Ve 'lL 'Ll", "don' t do n't do'nt",
    "the dogs' bowls, the dog's bowl", "it\u2019s not the same apostrophe as it's",
    "''s '''ll \"'ve\" ('re)", "x'sy x'ty x'rez x'vez x'my x'llz x'dz",
    "5's 6't 7're 8've 9'm 0'll 1'd", "'sam 'tom 'red 'vera 'max 'llama 'dora",
    "\n's \t't  're\u00a0've", "caf\u00e9's na\u00efve'd \u00e9'll",
    "that's\u017f 'S'\u017f long s after an apostrophe: '\u017f",
]

NUMBERS = [
    "3.14159265358979", "-273.15", "1,234,567.89", "1.234.567,89", "6.022e23", "1e-9",
    "+49 30 901820", "0x1F 0b1010 0o777", "2024-02-29T23:59:59Z", "12:34:56.789", "192.168.0.1",
    "50%", "$19.99", "\u20ac1.000,00", "\u00a35", "\u00a5 800", "1st 2nd 3rd 4th 21st",
    "v1.2.3-rc4", "A4 B5 C6x7", "7up h2o co2", "room 101, floor 3", " 1", "  12", "   123", "1 ",
    "12  ", "1 2  3   4", "1\n2\n\n3", "\t7\t8", "\u0661\u0662\u0663 Arabic-Indic digits",
    "\u06f4\u06f5\u06f6 Persian digits", "\u0967\u0968\u0969 Devanagari digits",
    "\u0e51\u0e52\u0e53 Thai digits", "\uff11\uff12\uff13 full width",
    "x\u00b2 + y\u00b3 = z\u2074", "\u00bd cup, \u00be cup, 1\u00bd cups",
    "\u2160 \u2161 \u2162 \u2167 \u217b", "\u2460\u2461\u2462 \u2776\u2777",
    "\u4e00\u4e8c\u4e09 \u5341\u767e\u5343",
    "\U0001d7d8\U0001d7d9\U0001d7da \U0001d7ce1\U0001d7cf", "\u3007\u3021\u3022", "10\u2076",
    "1_000_000", "99bottles", "bottles99", "a1b2c3d4e5f6", "007", "0000000000", "1e400",
    "NaN Inf -0.0",
]

EMOJI = [
    "\U0001f600", "\U0001f600\U0001f603\U0001f604", "ok \U0001f44d",
    "\U0001f44d\U0001f3fd \U0001f44b\U0001f3ff skin tones", "\u2764\ufe0f and \u2764",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family",
    "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f469\U0001f3fe\u200d\U0001f680 to the moon",
    "\U0001f1ee\U0001f1f8\U0001f1ef\U0001f1f5\U0001f1e7\U0001f1f7",
    "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f flag by tags",
    "1\ufe0f\u20e3 2\ufe0f\u20e3 keycaps", "\u2600\ufe0e text style, \u2600\ufe0f emoji style",
    "party\U0001f389party\U0001f389",
    "\U0001f9d1\u200d\U0001f4bb wrote \U0001f41b, fixed \U0001f41b",
    "\U0001f937\u200d\u2642\ufe0f", "\U0001f525\U0001f525\U0001f525 hot!!!",
    "\u00af\\_(\u30c4)_/\u00af", "(\u256f\u00b0\u25a1\u00b0)\u256f\ufe35 \u253b\u2501\u253b",
    ":-) ;-) :'( <3",
]

WORLD = [
    "今天早上我在河边跑步\u3002", "他买了3本书\uff0c还有2支笔\uff01", "繁體字與简体字",
    "\u300c引用\u300d\u3001\u300e雙引用\u300f", "猫が屋根の上で昼寝をしている\u3002",
    "コ\u30fcヒ\u30fcを二つください",
    "\uff8a\uff9d\uff76\uff78\uff76\uff85 \uff26\uff35\uff2c\uff2c", "か\u3099 versus が",
    "비가 오는 날에는 라면이 좋다.", "\u1112\u1161\u11ab\u1100\u1173\u11af versus 한글",
    "\u0643\u062a\u0628\u062a \u0631\u0633\u0627\u0644\u0629 "
    "\u0637\u0648\u064a\u0644\u0629 \u0625\u0644\u0649 \u0635\u062f\u064a\u0642\u064a.",
    "\u0645\u064f\u062d\u064e\u0645\u0651\u064e\u062f\u064c \u0648\u0652",
    "\u0644\u0627 \u0625\u0644\u0649 \u0661\u0662\u066b\u0665\u066a",
    "\u200f\u0639\u0631\u0628\u064a\u200e mixed \u202babc\u202c",
    "\u05d4\u05d9\u05dc\u05d3 \u05d0\u05db\u05dc \u05ea\u05e4\u05d5\u05d7",
    "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",
    "र\u093eम न\u0947 ब\u093eज\u093c\u093eर स\u0947 सब\u094dज\u093c\u0940 ल\u0940\u0964",
    "क\u094dषत\u094dर\u093fय क\u094d\u200dष", "ব\u09be\u0982ল\u09be ভ\u09beষ\u09be",
    "தம\u0bbfழ\u0bcd ந\u0bbeட\u0bc1", "ฝนตกหน\u0e31กมากว\u0e31นน\u0e35\u0e49",
    "น\u0e49\u0e33ตาล 25 บาท", "ລາວ ខ\u17d2ម\u17c2រ မ\u103cန\u103aမ\u102c",
    "བ\u0f7cད\u0f0bས\u0f90ད", "Кот спит на тёплой печке.", "Їжак і єнот",
    "Η θάλασσα είναι ήρεμη σήμερα.", "გამარჯობა Բարեւ", "አማርኛ", "ᏣᎳᎩ ꓐꓑ ᐁᐂ",
    "Größenmaßstäbe für Äpfel", "garçon, déjà vu, œuvre, Ångström", "Łódź, čeština, őrült űr",
    "İstanbul ışık", "Tiếng Việt có dấu",
    "café re\u0301sume\u0301 nai\u0308ve A\u030angstro\u0308m decomposed",
    "q\u0307\u0323 and q\u0323\u0307", "Z\u0351\u036b\u0343a\u0343\u0302l\u0360g\u0323o\u0321",
    "\u0301 starts with a combining mark", " \u0301 space and mark", "mañana vs. man\u0303ana",
    "\ufb01 \ufb02 \ufb03 ligatures",
    "\U0001d4d7\U0001d4ee\U0001d4f5\U0001d4f5\U0001d4f8 "
    "\U0001d54e\U0001d560\U0001d563\U0001d55d\U0001d555",
    "\U00020000\U0002a6d6 rare ideographs",
    "\U00013000\U00013080 \U00010330\U00010331 old scripts", "ᚠᚢᚦ ⴰⴱ", "ꓷ\ua4f8 ᱚᱛ",
    "e\u0301\u0323x a\u20dd", "\u01c5 \u01c8 \u01cb titlecase letters",
    "\u02b0\u02b2\u02b7 modifiers", "\u00aa \u00ba \u00b5", "ⱯꙋꜨ",
]

CODE = [
    "int main(void)\n{\n\tprintf(\"hi %d\\n\", 42);\n\treturn 0;\n}\n",
    "for (size_t i = 0; i < n; ++i) sum += a[i]*b[i]; // dot",
    "#define MAX(a, b) ((a) > (b) ? (a) : (b))\n#include <stdio.h>",
    "def area(r):\n    \"\"\"Of a disc.\"\"\"\n"
    "    return 3.1416 * r ** 2\n\n\nif __name__:\n\tprint(area(2))\n",
    "x = [i**2 for i in range(10) if i % 2 != 0]",
    "const f = async (x) => { await g(x ?? 0); return `${x}px`; };",
    "fn main() -> Result<(), Box<dyn Error>> { let v: Vec<u8> = vec![0; 16]; Ok(()) }",
    "SELECT name, COUNT(*) FROM cats WHERE age >= 3 GROUP BY name HAVING COUNT(*) > 1;",
    "#!/bin/sh\nset -eu\nfor f in *.txt; do mv -- \"$f\" \"${f%.txt}.md\"; done\n",
    "<p class=\"note\">5 &lt; 6 &amp;&amp; 7 &gt; 6</p><!-- done -->",
    "body > a:hover{color:#ff00aa;margin:0 -1px}",
    "\\frac{a}{b} \\le \\sum_{i=0}^{n} x_i^2 \\quad \\text{done}",
    "main :: IO ()\nmain = mapM_ print $ takeWhile (<100) primes", "(defun sq (x) (* x x)) ; lisp",
    "all: main.o\n\t$(CC) -o $@ $^\n.PHONY: all", "key = \"value\"\n[section]\nlist = [1, 2, 3]\n",
    "- item: one\n  sub:\n    - two\n    - three: ~\n",
    "{\"id\": 17, \"tags\": [\"a\", \"b\"], \"ok\": true, \"x\": null, \"f\": -1.5e-3}",
    "{\n  \"nested\": {\n    \"k\\u00e9y\": \"tab\\there\"\n  }\n}",
    "git commit -m \"fix: off-by-one\" && git push --force-with-lease",
    "mov eax, DWORD PTR [rbp-0x14]\njne .L2", "if(a&&b||!c){d^=e<<3;f>>=1;g%=h;}",
    "\t\t\tif err != nil {\n\t\t\t\treturn nil, err\n\t\t\t}\n",
    "        eight spaces\n            twelve spaces\n                sixteen spaces\n",
    "____init____ __x__ _y_ a__b",
    "std::unordered_map<std::string, std::vector<int>>::iterator it;",
    "/* comment */ // comment # comment -- comment ; comment",
    "0xDEADBEEF 0XcafeBABE 1'000'000 077 1.0f 2L 3UL", "/^[a-z]+(?:\\d{2,3}|\\s*)$/gi",
    "| a | b |\n|---|--:|\n| 1 | 2 |\n",
]

URLS = [
    "https://example.org/path/to/page.html?query=one&two=2#part", "http://me@localhost:8080/",
    "ftp://files.example.net/pub/a%20b.tar.gz", "mailto:someone@example.com", "www.example.co.uk",
    "file:///tmp/a b/c.txt", "C:\\Users\\me\\notes.txt", "../../up/two/levels",
    "~/.config/app.conf", "@handle #hashtag #123 c/o",
    "https://xn--bcher-kva.example/\u00fc?\u00e9=\u4e2d",
]

SYMBOLS = [
    "\u2200x\u2208\u211d: \u2203y \u2265 x\u00b2 \u2227 y \u2260 \u221e",
    "\u222b\u2080\u00b9 f(x)\u2009dx \u2248 0.5",
    "\u2211\u220f\u221a\u221b\u2202\u2207 \u2295\u2297", "a\u00d7b\u00f7c\u00b1d",
    "\u2190\u2191\u2192\u2193 \u21d2 \u27f6",
    "\u2554\u2550\u2550\u2557\n\u2551ok\u2551\n\u255a\u2550\u2550\u255d",
    "\u2591\u2592\u2593\u2588", "\u2713\u2717\u2605\u2606\u266a\u266b",
    "\u00a9\u00ae\u2122\u00a7\u00b6\u2020\u2021", "\u20bf\u20b9\u20a9\u20bd", "!!!???...,,,;;;:::",
    "(((nested [brackets {here} and] there)))", "--- === *** ___ ~~~ +++",
    "$$$ %%% ^^^ &&& @@@ ###", "<<< >>> <= >= != == === =>", "`` '' \"\" `code` ```fence```",
    "\\ \\\\ \\\\\\ \\n \\t \\0", "\u2022 one\n\u2022 two\n\u25e6 three",
    "\u2116 \u2103 \u212b \u2126", "a.b,c;d:e!f?g", " . , ; : ! ?",
    "\u3001\u3002\uff01\uff1f\uff08\uff09", "\u00bfQu\u00e9? \u00a1No!",
    "\u2028line separator\u2029paragraph separator",
    "\U0001d11e\U0001f0a1\U0001f000\U00010fff\U0010ffff",
]

INVISIBLE = [
    "no\u00a0break\u00a0space", "\u00a0\u00a0two of them", "a \u00a0 b",
    "\u3000ideographic\u3000space\u3000", "next\u0085line", "\u0085\u0085", "a\u0085 b \u0085c",
    "zero\u200bwidth\u200bspace", "\ufeffbyte order mark", "mid\ufeffdle",
    "thin\u2009hair\u200aem\u2003en\u2002figure\u2007", "narrow\u202fno-break", "ogham\u1680space",
    "math\u205fspace", "word\u2060joiner", "soft\u00adhyphen", "zwj\u200dzwnj\u200c",
    "mongolian\u180evowel separator", "\u180e \u180e  \u180ea", "line\u2028para\u2029end",
    "\u2028\n\u2029\r\n", "  \u2003\u2003 \u3000x", "x \u3000", "\u00a0", "\u3000\u3000", "\u200b",
    "\ufeff", "\u2060 \u2060", "\ufffd replacement \ufffd\ufffd",
    "\ufffc object, \ufff9a\ufffab\ufffb", "\ue000 private \uf8ff",
    "\U000f0000\U00100000 private planes",
]

CONTROLS = [
    "bell\x07 backspace\x08 escape\x1b[31mred\x1b[0m", "\x01\x02\x03\x04\x05\x06", "a\x04b",
    "!\x04!", "the\x06re", "\x13\x14\x16\x1d", "del\x7f\x7f", "fs\x1cgs\x1drs\x1eus\x1f",
    "a\x1cb \x1c c", "\x1c\x1d\x1e\x1f \x1c", "\x0b\x0c\x0b", "a\x0b\x0c b",
    "\x80\x81\x9f c1 controls", "tab\x1ftab",
]

SPECIALS = [
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_start|>user\nhello<|im_end|>\n",
    "a<|im_end|>b", "<|im_end|><|im_end|>", "<repo_name>tiny<file_sep>main.c", "<|im_start",
    "im_end|>", "<| im_end |>", "<|IM_END|>", "<s></s><unk><pad>", "[INST] <<SYS>> [/INST]",
    "<jupyter_code>print(1)<jupyter_output>1<empty_output>", "<|endoftext|",
    "ends with <|im_end|>", "\u0120a \u010a \u0122 byte alphabet letters", "\u2581a lower block",
]

LONG = [
    "a" * 300, "ab" * 150, "Supercalifragilistic" * 12, "\u00e9" * 90, "\u4e2d\u6587" * 60,
    "z" * 1000, "=" * 200, "-" * 79, "." * 123, "0123456789" * 20, "\U0001f600" * 30, "aA" * 100,
    "hahaha" * 50, "the" * 100, " the" * 100, "qwertzuiop" * 25, "\n" * 120, " " * 257, "\t" * 65,
    "ACGT" * 70, "deadbeef" * 30, "x_" * 100, "\u0e01\u0e32" * 50, "!?" * 80, "word " * 120,
    "TGlrZSBiYXNlNjQgdGV4dA==" * 8,
]

HAND_WRITTEN = (
    PROSE + CONTRACTIONS + NUMBERS + EMOJI + WORLD + CODE + URLS + SYMBOLS + INVISIBLE + CONTROLS
    + SPECIALS + LONG
)

BLANKS = [
    " ", "\t", "\n", "\r\n", "\u00a0", "\u3000",
]
FRAGMENTS = [
    "the", "The", " and", "ing", "un", "Zebra", "quartz", "don't", "I'LL", "'s", "'", "\"",
    "\u2019", "na\u00efve", "e\u0301", "\u00df", "\u0416\u0443\u043a", "\u03c0", "\u4e2d",
    "\u3042", "\ud55c", "\u0639", "\u0939\u093f", "\u0e17\u0e35\u0e48", "\U0001f600",
    "\U0001f468\u200d\U0001f469", "\U0001f1eb\U0001f1f7", "\u200b", "\ufeff", "\u00ad", "\u0301",
    "0", "7", "42", "1999", "\u00bd", "\u0663", "\u2167", ".", ",", "!", "?", "...", "-", "--",
    "_", "/", "\\", "(", ")", "{}", "[", "]", "<", ">", "=", "==", "+", "*", "&", "%", "$", "#",
    "@", "|", "~", "^", "`", ":", ";", "\u2014", "\u2026", "\u20ac", "\u2211", "\x1b", "\x7f",
    "\x07", "<|im_end|>", "http://", "x", "X", "q",
]


def whitespace_runs():
    """Runs of blanks of several lengths: alone, leading, between, before a digit, trailing."""
    runs = [blank * count for blank in BLANKS for count in (1, 2, 3, 7)]
    runs += [" \t", "\t ", " \n", "\n ", " \r\n ", "\n\t\n", "\r\r\n"]
    runs += [" \u00a0 ", "\n \n \n", "\x85 \x85"]
    frames = ["{}", "{}a", "a{}", "a{}b", "a{}1", "a{}!"]
    framed = [frame.format(run) for run in runs[1::3] for frame in frames]
    return runs + framed + ["one" + run + "two" + run for run in runs]


def digit_runs():
    """Digits of every length from 1 to 20, bare and after a word."""
    digits = "31415926535897932384"
    return [digits[:n] for n in range(1, 21)] + [f"no {digits[:n]}." for n in range(1, 21, 3)]


def random_mixtures(seed, count):
    """Fragments and blanks in random order, and a few strings of random code points."""
    generator = random.Random(seed)
    texts = []
    for _ in range(count * 4 // 5):
        pieces = generator.choices(FRAGMENTS + BLANKS * 5, k=generator.randint(2, 24))
        texts.append("".join(pieces))
    blocks = [(0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x52F), (0x5D0, 0x5EA), (0x905, 0x939)]
    blocks += [(0x2000, 0x206F), (0x2190, 0x22FF), (0x4E00, 0x4FFF), (0xAC00, 0xACFF)]
    for _ in range(count - count * 4 // 5):
        ranges = generator.choices(blocks, k=generator.randint(1, 16))
        texts.append("".join(chr(generator.randint(*limits)) for limits in ranges))
    return texts


def all_texts():
    """Every text once: empty, each ASCII byte but NUL, by hand, by rule, at random."""
    texts = ["", *map(chr, range(1, 128)), *HAND_WRITTEN, *whitespace_runs(), *digit_runs()]
    return list(dict.fromkeys(texts + random_mixtures(seed=20240, count=150)))


def some_texts():
    """A smaller selection for the other pre-tokenizers: what their expressions treat unlike."""
    texts = ["", *CONTRACTIONS, *NUMBERS, *INVISIBLE, *digit_runs(), *whitespace_runs()]
    texts += PROSE[::4] + EMOJI[::4] + WORLD[::4] + CODE[::3] + SYMBOLS[::3] + SPECIALS[::4]
    texts += ["the" * 20, " " * 40, "\n" * 20, "\u4e2d\u6587" * 9]
    texts += random_mixtures(seed=7, count=40)
    return list(dict.fromkeys(texts))


INVALID_UTF8 = [
    b"\x80", b"\xbf\xbf", b"\xc0\xaf", b"\xc1\xbf", b"\xc3", b"\xc3(", b"a\xc3", b"\xe2\x82",
    b"\xe2\x82x", b"\xe2(\xa1", b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xed\xa0\x80",
    b"\xed\xa0\xbd\xed\xb8\x80", b"\xed\xbf\xbf", b"\xf0\x9f\x98", b"\xf0\x9f\x98 smile",
    b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xfe\xff", b"\xff",
    b"caf\xe9 in Latin-1", b"na\xefve r\xe9sum\xe9", b"ok \xe4\xb8\xad \xe4\xb8",
    b"\xe4\xb8\xe4\xb8\xad", b"\xf0\x9f\xf0\x9f\x98\x80", b"\xc2\xa0\xc2",
    b"tail \xf0\x9f\x98\x80\x80", b"\x80 12\x8034", b"word\xffword", b"line\n\xfe\nline",
    b"'s\xc0't", b"\xef\xbb\xbfBOM then \xef\xbb", b"\xf1\x80\x80", b"\xf1\x80\x80\xe1\x80\xc2b",
    b"\xf4\x8f\xbf", b"<|im_\xffend|>", b"  \xe2\x80  ",
]
