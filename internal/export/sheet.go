package export

import (
	"context"
	"fmt"
	"image/png"
	"io"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/report"
)

// writePNG draws a contact sheet of the first images.
func writePNG(ctx context.Context, out io.Writer, t *table) (notes []string, err error) {
	if _, _, err := record.Column(t.schema, record.Image); err != nil {
		return nil, fmt.Errorf("a contact sheet needs pictures: %w", err)
	}
	sheet, err := report.ContactSheet(ctx, t.Input, shownPictures)
	if err != nil {
		return nil, err
	}
	if rows := t.Rows(); rows > shownPictures {
		notes = []string{fmt.Sprintf("the sheet shows the first %d of %d pictures", shownPictures, rows)}
	}
	return notes, png.Encode(out, sheet)
}

// shownPictures is how many pictures a contact sheet shows at most.
const shownPictures = 60
