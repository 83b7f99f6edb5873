package report

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/tlpipe/tlpipe/pipeline"
)

// Text in data may be as long as anybody makes it, and stands on the page many times: it is cut when it is read. What is cut tells
// its length and a digest, so that two texts that begin alike stay two.
const (
	maxText   = 300  // bytes of a name or a label
	maxReason = 8000 // of a reason, which is shown in full unless it is absurd
)

// cutText cuts a text that is longer than a page can show.
func cutText(text string, most int) string {
	if len(text) <= most {
		return text
	}
	kept := most / 3
	for kept > 0 && !utf8.RuneStart(text[kept]) {
		kept--
	}
	digest := sha256.Sum256([]byte(text))
	return fmt.Sprintf("%s… (%s characters, %x)", text[:kept], count(int64(utf8.RuneCountInString(text))), digest[:4])
}

// shortenRows cuts the texts in rows of a table.
func shortenRows[T any](rows []T) {
	for i := range rows {
		row := reflect.ValueOf(&rows[i]).Elem()
		for k := range row.NumField() {
			if f := row.Field(k); f.Kind() == reflect.String {
				f.SetString(cutText(f.String(), maxText))
			}
		}
	}
}

// shortenOverview cuts the names of classes and what else a source found.
func shortenOverview(o *pipeline.Overview) *pipeline.Overview {
	if o == nil {
		return nil
	}
	out := *o
	for _, list := range []*[]pipeline.ClassRows{&out.Classes, &out.Targets} {
		*list = slices.Clone(*list)
		for i := range *list {
			(*list)[i].Name = cutText((*list)[i].Name, maxText)
		}
	}
	for _, list := range []*[]string{&out.Columns, &out.Notes} {
		*list = slices.Clone(*list)
		for i := range *list {
			(*list)[i] = cutText((*list)[i], maxReason)
		}
	}
	return &out
}
