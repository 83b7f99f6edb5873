package program

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/tlpipe/tlpipe/internal/arrowmeta"
)

// frames reads one Arrow IPC stream after the other from a pipe, and no byte beyond the end of the one that is read. Each
// message is looked at before the Arrow library sees it: that it is one at all, and how long it says it is.
type frames struct {
	in      io.Reader
	alive   func()
	head    []byte // of the message that is read, as far as it was not passed on
	body    int64  // bytes of the message's body still to come
	ended   bool   // the end of the stream was read
	over    bool   // the pipe ended
	problem string // what is wrong with what was written
}

// Bounds of one message: of its metadata, and of its body.
const (
	mostMetadata = 64 << 20
	mostBody     = 4 << 30
)

// begin expects the next stream. alive is called whenever something was read.
func (f *frames) begin(alive func()) {
	*f = frames{in: f.in, alive: alive, over: f.over}
}

// Read implements io.Reader. At the end of a stream it gives io.EOF.
func (f *frames) Read(b []byte) (int, error) {
	if len(f.head) == 0 && f.body == 0 {
		if f.ended || f.over {
			return 0, io.EOF
		}
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	if len(f.head) > 0 {
		n := copy(b, f.head)
		f.head = f.head[n:]
		return n, nil
	}
	n, err := f.in.Read(b[:min(int64(len(b)), f.body)])
	f.body -= int64(n)
	f.alive()
	if err != nil {
		f.over = true
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// next reads the head of a message: a mark, the length of the metadata, the metadata.
func (f *frames) next() error {
	head := make([]byte, 8)
	n, err := io.ReadFull(f.in, head[:4])
	f.alive()
	switch {
	case err != nil && n == 0:
		f.over = true
		return io.EOF
	case binary.LittleEndian.Uint32(head) != 0xFFFFFFFF:
		f.over = true
		return f.wrong("wrote something else than Arrow to its standard output, which carries its answers: %s; print to standard error", f.quote(head[:n]))
	}
	if _, err := io.ReadFull(f.in, head[4:]); err != nil {
		f.over = true
		return io.ErrUnexpectedEOF
	}
	length := int64(int32(binary.LittleEndian.Uint32(head[4:])))
	if length == 0 {
		f.ended = true
		f.head = head
		return nil
	}
	if length < 8 || length > mostMetadata {
		f.over = true
		return f.wrong("wrote an Arrow message with metadata of %d bytes", length)
	}
	f.head = make([]byte, 8+length)
	copy(f.head, head)
	if _, err := io.ReadFull(f.in, f.head[8:]); err != nil {
		f.over, f.head = true, nil
		return io.ErrUnexpectedEOF
	}
	f.alive()
	body, err := arrowmeta.CheckMessage(f.head[8:])
	if err != nil || body > mostBody {
		f.over, f.head = true, nil
		return f.wrong("wrote an Arrow message that cannot be read, or with a body of more than %d bytes", int64(mostBody))
	}
	f.body = body
	return nil
}

func (f *frames) wrong(format string, args ...any) error {
	f.problem = fmt.Sprintf(format, args...)
	return fmt.Errorf("%s", f.problem)
}

// quote shows what was written in the place of a message.
func (f *frames) quote(begin []byte) string {
	more := make([]byte, 76)
	n, _ := f.in.Read(more) // what is there; the process is killed anyway
	text, cut, _ := strings.Cut(string(begin)+string(more[:n]), "\n")
	_ = cut
	shown := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	return fmt.Sprintf("%q", shown)
}

// rest reads to the end, and shows what there was.
func (f *frames) rest() string {
	if f.over {
		return ""
	}
	first := make([]byte, 80)
	n, _ := io.ReadFull(f.in, first)
	_, _ = io.Copy(io.Discard, f.in)
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%q", first[:n])
}
