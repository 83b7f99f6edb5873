package report_test

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/tlpipe/tlpipe/internal/report"
)

func page(t testing.TB, run report.Run) string {
	t.Helper()
	var out bytes.Buffer
	if err := report.Write(context.Background(), &out, run); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestWholeRun(t *testing.T) {
	html := page(t, quickstart(t))
	// To look at it in a browser.
	if path := os.Getenv("TLPIPE_REPORT"); path != "" {
		if err := os.WriteFile(path, []byte(html), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
