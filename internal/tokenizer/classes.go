package tokenizer

import "unicode"

// isSpace tells whether a character is white space, by Unicode's property White_Space.
func isSpace(r rune) bool { return unicode.IsSpace(r) }

// isWord tells whether a character is part of words, as regular expressions have it (\w; Unicode Technical Standard 18).
func isWord(r rune) bool {
	if r < 0x80 {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_'
	}
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.Is(unicode.Nd, r) || unicode.Is(unicode.Nl, r) || unicode.Is(unicode.Pc, r) ||
		unicode.Is(unicode.Other_Alphabetic, r) || unicode.Is(unicode.Join_Control, r)
}

// isPunctuation is BERT's idea of it: that of Unicode, and all of ASCII that is neither letter, digit nor space.
func isPunctuation(r rune) bool {
	if r < 0x80 {
		return '!' <= r && r <= '/' || ':' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
	}
	return unicode.Is(punctuation8, r)
}

// isControl tells whether BERT drops a character: controls, formats and private use.
func isControl(r rune) bool {
	if r < 0x80 {
		return (r < ' ' || r == 0x7f) && r != '\t' && r != '\n' && r != '\r'
	}
	return unicode.Is(controls8, r)
}

// isIdeograph tells whether BERT takes a character for a word of its own: CJK's blocks of ideographs.
func isIdeograph(r rune) bool {
	return r >= 0x3400 && (r <= 0x4dbf || 0x4e00 <= r && r <= 0x9fff || 0xf900 <= r && r <= 0xfaff ||
		0x20000 <= r && r <= 0x2a6df || 0x2a700 <= r && r <= 0x2b73f || 0x2b740 <= r && r <= 0x2b81f || 0x2b820 <= r && r <= 0x2ceaf || 0x2f800 <= r && r <= 0x2fa1f)
}

// isNumeric tells whether a character is a number of any kind.
func isNumeric(r rune) bool { return unicode.IsNumber(r) }
