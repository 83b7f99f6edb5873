package arrowmeta

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Stream reads the messages of an IPC stream in place of the library's own reader, and takes no more memory than the stream
// can hold.
type Stream struct {
	r         io.Reader
	left      int64 // bytes that are still to come
	allocator memory.Allocator
	message   *ipc.Message // the last one, which the reader does not keep
}

// NewStream returns the messages of a stream of so many bytes. Release frees the last one.
func NewStream(r io.Reader, size int64, allocator memory.Allocator) *Stream {
	return &Stream{r: r, left: size, allocator: allocator}
}

// Message implements ipc.MessageReader. At the end of the stream it gives io.EOF.
func (s *Stream) Message() (*ipc.Message, error) {
	s.Release()
	length, err := s.length()
	if err != nil {
		return nil, err
	}
	if length == 0xFFFFFFFF { // the mark that the length follows; streams written before version 0.15 have none
		if length, err = s.length(); err != nil {
			return nil, err
		}
	}
	if length == 0 {
		return nil, io.EOF
	}
	metadata, err := s.take(length)
	if err != nil {
		return nil, err
	}
	defer metadata.Release()
	n, err := CheckMessage(metadata.Bytes())
	if err != nil {
		return nil, err
	}
	body, err := s.take(n)
	if err != nil {
		return nil, err
	}
	defer body.Release()
	s.message = ipc.NewMessage(metadata, body)
	return s.message, nil
}

func (s *Stream) length() (int64, error) {
	var four [4]byte
	if _, err := io.ReadFull(s.r, four[:]); err != nil {
		return 0, err
	}
	s.left -= 4
	return int64(binary.LittleEndian.Uint32(four[:])), nil
}

// take reads the next n bytes.
func (s *Stream) take(n int64) (*memory.Buffer, error) {
	if n > s.left {
		return nil, fmt.Errorf("malformed: a message announces %d bytes, and %d follow", n, s.left)
	}
	s.left -= n
	buffer := memory.NewResizableBuffer(s.allocator)
	buffer.Resize(int(n))
	if _, err := io.ReadFull(s.r, buffer.Bytes()); err != nil {
		buffer.Release()
		return nil, err
	}
	return buffer, nil
}

// Retain implements ipc.MessageReader: a stream has one reader.
func (s *Stream) Retain() {}

// Release implements ipc.MessageReader.
func (s *Stream) Release() {
	if s.message != nil {
		s.message.Release()
		s.message = nil
	}
}
