package console

import (
	"encoding/json"
	"io"
	"os"

	"github.com/tlpipe/tlpipe/internal/untrusted"
)

// Output is what a command writes to: text that people read, made safe for a terminal whoever wrote it, or JSON.
type Output struct {
	File *os.File // as it is, for what moves the cursor

	text, json io.Writer
}

// NewOutput returns the output to a file or terminal.
func NewOutput(f *os.File) *Output {
	return &Output{File: f, text: untrusted.NewWriter(f), json: untrusted.NewJSONWriter(f)}
}

// Write writes text, with every character that would do something else than be seen as U+FFFD.
func (o *Output) Write(b []byte) (int, error) { return o.text.Write(b) }

// JSON returns an encoder that writes to the output.
func (o *Output) JSON() *json.Encoder { return json.NewEncoder(o.json) }
