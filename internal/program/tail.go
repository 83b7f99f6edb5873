package program

import (
	"strings"
	"sync"
)

// tail keeps the last lines of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const (
	tailLines = 12
	tailBytes = 4 << 10
)

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b[max(len(b)-tailBytes, 0):]...)
	if len(t.text) > 2*tailBytes {
		t.text = append(t.text[:0], t.text[len(t.text)-tailBytes:]...)
	}
	return len(b), nil
}

func (t *tail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.text
	if len(text) > tailBytes {
		text = text[len(text)-tailBytes:]
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\r\n\t "); line != "" {
			out = append(out, line)
		}
	}
	return out[max(len(out)-tailLines, 0):]
}
