package align_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/domain/align"
	"github.com/tlpipe/tlpipe/internal/matfile"
)

// officeCaltech names the folder of the four files of SURF features of Office-Caltech10 (Gong and others 2012), which are not ours to
// distribute: docs/compare/office_caltech.sh.
const officeCaltech = "TLPIPE_OFFICE_CALTECH"

// directOn is the published accuracy of the nearest neighbour, in percent, from each domain to each other, in the order of pairs.
var directOn = []float64{23.70, 25.76, 25.48, 26.00, 29.83, 25.48, 19.86, 22.96, 59.24, 26.27, 28.50, 63.39}

// domains in the order of the published tables.
var officeDomains = []string{"Caltech10", "amazon", "webcam", "dslr"}

// The table of the classical methods on the published features, in the published protocol: rows divided by their sum, standardised by
// domain, all rows of the source and of the target, the class of the nearest neighbour.
func TestOfficeCaltech(t *testing.T) {
	folder := os.Getenv(officeCaltech)
	if folder == "" {
		t.Skipf("%s does not name the folder of the four files", officeCaltech)
	}
	var all []domain.Labelled
	for _, name := range officeDomains {
		all = append(all, readDomain(t, filepath.Join(folder, name+"_SURF_L10.mat")))
	}
	table := pairs(t, all)
	for i, want := range directOn {
		if math.Abs(table["direct"][i]-want) > 0.005 {
			t.Errorf("pair %d: nearest neighbour %.2f %%, published %.2f %%", i, table["direct"][i], want)
		}
	}
}

func readDomain(t *testing.T, path string) domain.Labelled {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found, err := matfile.Read(f, func(string) bool { return true }, nil)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var out domain.Labelled
	for _, v := range found {
		switch v.Name {
		case "fts":
			out.Width = v.Columns
			for row := range v.Rows {
				sum := 0.0
				for column := range v.Columns {
					sum += v.At(row, column)
				}
				for column := range v.Columns {
					out.Values = append(out.Values, float32(v.At(row, column)/sum))
				}
			}
		case "labels":
			for _, y := range v.Data {
				out.Classes = append(out.Classes, int(y)-1)
			}
		}
	}
	out.Count = 10
	return out
}

// pairs prints and returns the accuracy in percent of each method from each domain to each other.
func pairs(t *testing.T, all []domain.Labelled) map[string][]float64 {
	t.Helper()
	var standard []domain.Labelled
	for _, d := range all {
		standard = append(standard, domain.Labelled{Features: byDomain(d.Features), Classes: d.Classes, Count: d.Count})
	}
	table := map[string][]float64{}
	header := fmt.Sprintf("%-9s", "")
	for i := range standard {
		for j := range standard {
			if i == j {
				continue
			}
			header += fmt.Sprintf(" %c→%c  ", "CAWD"[i%4], "CAWD"[j%4])
			source, target := standard[i], standard[j]
			table["direct"] = append(table["direct"], neighbour(source, target))
			for _, m := range align.Methods() {
				a := fit(t, m.Name, source, target.Features, align.Options{Settings: align.Settings{Raw: true}, Threads: 2})
				s := domain.Labelled{Features: a.Source.Apply(source.Features), Classes: source.Classes, Count: source.Count}
				table[m.Name] = append(table[m.Name], neighbour(s, domain.Labelled{Features: a.Target.Apply(target.Features), Classes: target.Classes}))
			}
		}
	}
	t.Log(header + " mean")
	for _, name := range []string{"direct", "coral", "subspace", "tca", "jda"} {
		line, mean := strings.Builder{}, 0.0
		for _, a := range table[name] {
			fmt.Fprintf(&line, " %5.2f", a)
			mean += a / float64(len(table[name]))
		}
		t.Logf("%-9s%s %5.2f", name, line.String(), mean)
	}
	return table
}

func byDomain(f domain.Features) domain.Features {
	out := domain.Features{Width: f.Width, Values: make([]float32, len(f.Values))}
	n := float64(f.Rows())
	for j := range f.Width {
		mean, squares := 0.0, 0.0
		for i := range f.Rows() {
			mean += float64(f.Row(i)[j]) / n
		}
		for i := range f.Rows() {
			d := float64(f.Row(i)[j]) - mean
			squares += d * d
		}
		for i := range f.Rows() {
			if squares > 0 {
				out.Values[i*f.Width+j] = float32((float64(f.Row(i)[j]) - mean) / math.Sqrt(squares/n))
			}
		}
	}
	return out
}

// neighbour is the accuracy in percent of the nearest row of the source.
func neighbour(source, target domain.Labelled) float64 {
	right := 0
	for i := range target.Rows() {
		best, least := -1, math.Inf(1)
		x := target.Row(i)
		for j := range source.Rows() {
			d := 0.0
			for k, v := range source.Row(j) {
				e := float64(v) - float64(x[k])
				d += e * e
			}
			if d < least {
				best, least = source.Classes[j], d
			}
		}
		if best == target.Classes[i] {
			right++
		}
	}
	return 100 * float64(right) / float64(target.Rows())
}

// The same table of four domains that are drawn: of ten classes, each domain with directions and scales of its own. It stands in for the
// files where they are not, so that what makes the table is tested.
func TestTableOfDrawnDomains(t *testing.T) {
	if _, err := align.Methods()[0].Fit(context.Background(), domain.Labelled{}, domain.Features{}, align.Options{}); err == nil {
		t.Error("nothing was aligned")
	}
	random := rand.New(rand.NewPCG(8, 8))
	const width, classes = 24, 5
	centres := make([]float64, classes*width)
	for i := range centres {
		centres[i] = 1.5 * random.NormFloat64()
	}
	var all []domain.Labelled
	for range 3 {
		turn := make([]float64, width)
		for i := range turn {
			turn[i] = 0.9 * random.NormFloat64()
		}
		d := domain.Labelled{Features: domain.Features{Width: width}, Count: classes}
		for i := range 60 {
			class := i % classes
			d.Classes = append(d.Classes, class)
			common := random.NormFloat64()
			for j := range width {
				v := centres[class*width+j] + random.NormFloat64() + 2*common*turn[j]
				d.Values = append(d.Values, float32(v))
			}
		}
		all = append(all, d)
	}
	table := pairs(t, all)
	for name, accuracies := range table {
		if len(accuracies) != 6 {
			t.Fatalf("%s: %d pairs", name, len(accuracies))
		}
		for _, a := range accuracies {
			if a < 100/classes {
				t.Errorf("%s: accuracy %.1f %%, below chance", name, a)
			}
		}
	}
}
