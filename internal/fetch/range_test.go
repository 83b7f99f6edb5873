package fetch

import "testing"

func TestContentRange(t *testing.T) {
	for text, want := range map[string][2]int64{
		"bytes 100-199/200": {100, 200},
		"bytes 100-199/*":   {100, -1},
		"bytes */200":       {-1, 200},
	} {
		if first, total, ok := contentRange(text); !ok || first != want[0] || total != want[1] {
			t.Errorf("%s: %d, %d, %v", text, first, total, ok)
		}
	}
	for _, text := range []string{"", "bytes", "100-199/200", "bytes 1-2", "bytes x-2/3", "bytes 1-2/x", "bytes 1-2/-3", "bytes -5-2/3", "items 1-2/3"} {
		if _, _, ok := contentRange(text); ok {
			t.Errorf("%q is a range", text)
		}
	}
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 100-199/200")
	f.Add("bytes */200")
	f.Fuzz(func(t *testing.T, text string) {
		if first, total, ok := contentRange(text); ok && (first < -1 || total < -1) {
			t.Errorf("%q: %d, %d", text, first, total)
		}
	})
}
