package export

import (
	"context"
	"fmt"
	"image/png"
	"io"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/report"
)

// writePNG draws a contact sheet of the first pictures.
func writePNG(ctx context.Context, out io.Writer, t *table) (notes []string, err error) {
	if _, _, err := record.Column(t.schema, record.Image); err != nil {
		return nil, fmt.Errorf("a contact sheet needs pictures: %w", err)
	}
	sheet, err := report.ContactSheet(ctx, t.Input, 0)
	if err != nil {
		return nil, err
	}
	return nil, png.Encode(out, sheet)
}
