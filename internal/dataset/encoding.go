package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// textEncoding is how a table's text is written.
type textEncoding struct {
	decoder *encoding.Decoder
	crLines bool   // lines end in CR alone
	note    string // for people, if it is anything but UTF-8
}

// encodingOf finds out how a text is written: by its byte order mark; as UTF-8, if all of it is valid; else it is
// taken for Windows-1252, whose printable characters are those of Latin-1 and more. A text that is UTF-8 for the most part and not
// in all of it is an error, as reading it as Windows-1252 would garble what is right; so are bytes that Windows-1252 does not have.
// It reads from to the end.
func encodingOf(from io.Reader) (e textEncoding, err error) {
	in := bufio.NewReaderSize(from, 1<<16)
	head, err := in.Peek(1 << 12)
	if err != nil && !errors.Is(err, io.EOF) {
		return e, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}), bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		e.decoder = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder()
		e.note = "read as UTF-16"
	case len(head) >= 4 && head[0] != 0 && head[1] == 0 && head[3] == 0:
		e.decoder = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder()
		e.note = "read as UTF-16 without a byte order mark"
	default:
		var found census
		if err := found.read(in); err != nil {
			return e, err
		}
		e.decoder = unicode.UTF8BOM.NewDecoder()
		switch {
		case found.strange.count == 0:
		case found.characters > found.strange.count:
			return e, fmt.Errorf("line %d is not valid UTF-8 (byte %#x), while the file is UTF-8 for the most part (%d of the %d characters that are not ASCII): convert the other lines alone, for example with sed -n %dp FILE | iconv -f WINDOWS-1252 -t UTF-8, or leave out their invalid bytes with iconv -c -f UTF-8 -t UTF-8 FILE",
				found.strange.line, found.strange.first, found.characters, found.characters+found.strange.count, found.strange.line)
		case found.undefined.count > 0:
			return e, fmt.Errorf("line %d has the byte %#x, which Windows-1252 does not have, and the file is not valid UTF-8: convert it to UTF-8, for example with iconv -f SHIFT_JIS -t UTF-8 FILE, where SHIFT_JIS is the encoding that it is in",
				found.undefined.line, found.undefined.first)
		default:
			e.decoder = charmap.Windows1252.NewDecoder()
			e.note = "not valid UTF-8, read as Windows-1252 (Latin-1)"
		}
	}
	plain, err := e.decoder.Bytes(head[:len(head)&^1])
	if err != nil {
		plain = head
	}
	e.crLines = bytes.IndexByte(plain, '\r') >= 0 && bytes.IndexByte(plain, '\n') < 0
	return e, nil
}

// reader gives the text in UTF-8, with lines that end in LF or CR LF.
func (e textEncoding) reader(from io.Reader) io.Reader {
	decoded := e.decoder.Reader(from)
	if !e.crLines {
		return decoded
	}
	return readerFunc(func(p []byte) (int, error) {
		n, err := decoded.Read(p)
		for i := range p[:n] {
			if p[i] == '\r' {
				p[i] = '\n'
			}
		}
		return n, err
	})
}

// census counts what a text has beyond ASCII.
type census struct {
	characters int       // that are valid UTF-8
	strange    sightings // bytes that are not
	undefined  sightings // bytes that Windows-1252 does not have, be they of valid UTF-8 or not
}

// sightings are how often bytes of a kind are there, and the first of them with its line, counted from 1.
type sightings struct {
	count, line int
	first       byte
}

func (s *sightings) add(c byte, line int) {
	if s.count++; s.count == 1 {
		s.first, s.line = c, line
	}
}

// read counts all of a text.
func (c *census) read(in io.Reader) error {
	buffer := make([]byte, 1<<16)
	kept := 0 // bytes of a character that is not whole yet
	line, last := 1, byte(0)
	for {
		n, err := in.Read(buffer[kept:])
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		part := buffer[:kept+n]
		for len(part) > 0 {
			if b := part[0]; b < utf8.RuneSelf {
				if b == '\r' || b == '\n' && last != '\r' {
					line++
				}
				last, part = b, part[1:]
				continue
			}
			r, size := utf8.DecodeRune(part)
			if r == utf8.RuneError && size <= 1 {
				if !utf8.FullRune(part) && err == nil {
					break
				}
				c.strange.add(part[0], line)
			} else {
				c.characters++
			}
			for _, b := range part[:size] {
				switch b {
				case 0x81, 0x8D, 0x8F, 0x90, 0x9D:
					c.undefined.add(b, line)
				}
			}
			last, part = part[size-1], part[size:]
		}
		kept = copy(buffer, part)
		if err != nil {
			return nil
		}
	}
}
