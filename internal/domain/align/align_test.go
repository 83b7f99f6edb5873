package align_test

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/domain"
	"github.com/tlpipe/tlpipe/internal/domain/align"
)

// reference is a case of testdata/align.py.
type reference struct {
	Name              string
	Width, Components int
	Source, Target    []float32
	Classes           []int
	Coral             []float64
	CoralSmall        []float64 `json:"coral_small"`
	Subspace          []float64
	TCA               []float64 `json:"tca"`
	JDA               []float64 `json:"jda"`
}

func fit(t *testing.T, method string, source domain.Labelled, target domain.Features, o align.Options) domain.Alignment {
	t.Helper()
	m, ok := align.Find(method)
	if !ok {
		t.Fatalf("there is no method %q", method)
	}
	a, err := m.Fit(context.Background(), source, target, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// mapped are the rows of both domains after alignment.
func mapped(a domain.Alignment, source domain.Labelled, target domain.Features) []float32 {
	return append(a.Source.Apply(source.Features).Values, a.Target.Apply(target).Values...)
}

func gram(values []float32, n int) (out []float64) {
	width := len(values) / n
	for i := range n {
		for j := range n {
			sum := 0.0
			for k := range width {
				sum += float64(values[i*width+k]) * float64(values[j*width+k])
			}
			out = append(out, sum)
		}
	}
	return out
}

// Mapped rows are those of the published formulas; of methods whose axes have no sign, the rows' inner products are.
func TestMethodsAgreeWithNumPy(t *testing.T) {
	raw, err := os.ReadFile("testdata/align.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []reference
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		source := domain.Labelled{Features: domain.Features{Width: c.Width, Values: c.Source}, Classes: c.Classes, Count: 3}
		target := domain.Features{Width: c.Width, Values: c.Target}
		n := source.Rows() + target.Rows()
		for _, check := range []struct {
			method  string
			penalty float64
			want    []float64
			plain   bool
		}{
			{"coral", 1, c.Coral, true}, {"coral", 0.01, c.CoralSmall, true},
			{"subspace", 0, c.Subspace, false}, {"tca", 0.5, c.TCA, false}, {"jda", 0.5, c.JDA, false},
		} {
			a := fit(t, check.method, source, target, align.Options{Settings: align.Settings{Penalty: check.penalty, Components: c.Components, Raw: true}})
			values := mapped(a, source, target)
			got := gram(values, n)
			if check.plain {
				got = nil
				for _, v := range values {
					got = append(got, float64(v))
				}
			}
			if len(got) != len(check.want) {
				t.Fatalf("%s, %s: %d numbers, not %d", c.Name, check.method, len(got), len(check.want))
			}
			largest, off := 0.0, 0.0
			for i, w := range check.want {
				largest = max(largest, math.Abs(w))
				off = max(off, math.Abs(got[i]-w))
			}
			if off > 2e-6*largest {
				t.Errorf("%s, %s with penalty %v: off by %.2g of %.2g", c.Name, check.method, check.penalty, off, largest)
			}
		}
	}
}

// twoDomains are rows of three classes, the target's shifted and scaled, on few directions of many.
func twoDomains(n, width int, seed uint64) (domain.Labelled, domain.Features, []int) {
	random := rand.New(rand.NewPCG(seed, 1))
	mix := make([]float64, 12*width)
	for i := range mix {
		mix[i] = random.NormFloat64() / math.Sqrt(float64(width))
	}
	rows := func(shifted bool) (domain.Features, []int) {
		f := domain.Features{Width: width}
		var classes []int
		for i := range n {
			class := i % 3
			classes = append(classes, class)
			var z [12]float64
			for j := range z {
				z[j] = 0.6 * random.NormFloat64()
			}
			z[0] += 4 * float64(class-1)
			z[1] += 4 * float64(class%2)
			if shifted {
				z[1] += 4
				z[2] += 3
				z[3] = 1.5*z[3] + z[4]
			}
			for j := range width {
				v := 0.02 * random.NormFloat64()
				for k, x := range z {
					v += x * mix[k*width+j]
				}
				f.Values = append(f.Values, float32(v))
			}
		}
		return f, classes
	}
	s, classes := rows(false)
	target, truth := rows(true)
	return domain.Labelled{Features: s, Classes: classes, Count: 3}, target, truth
}

// The result is the same for any number of threads, bit by bit, in the joint space, in float64 and in float32.
func TestThreadsDoNotMatter(t *testing.T) {
	for _, size := range [][2]int{{30, 100}, {100, 40}, {150, 400}, {400, 800}} {
		source, target, _ := twoDomains(size[0], size[1], 3)
		for _, m := range align.Methods() {
			if size[1] > 768 && testing.Short() {
				continue
			}
			if size[1] > 768 && m.Name != "coral" && m.Name != "subspace" { // the others take what these do
				continue
			}
			o := align.Options{Settings: align.Settings{Components: 6, Rounds: 3}, Threads: 1}
			one := fit(t, m.Name, source, target, o)
			o.Threads = 3
			if three := fit(t, m.Name, source, target, o); !reflect.DeepEqual(one, three) {
				t.Errorf("%s of %v: one thread and three give different maps", m.Name, size)
			}
		}
	}
}

// More rows than dimensions that are computed exactly: roots by iteration and Lanczos give what eigenvectors give.
func TestManyDimensions(t *testing.T) {
	source, target, _ := twoDomains(400, 780, 4)
	coral := fit(t, "coral", source, target, align.Options{Settings: align.Settings{Raw: true}, Threads: 2})
	if !strings.Contains(coral.Note, "float32") {
		t.Errorf("the note says %q", coral.Note)
	}
	// What was mapped has the target's mean and, along any direction, about the target's variance plus what the penalty adds.
	values := coral.Source.Apply(source.Features)
	random := rand.New(rand.NewPCG(5, 5))
	for range 5 {
		direction := make([]float64, source.Width)
		for i := range direction {
			direction[i] = random.NormFloat64()
		}
		m1, v1 := along(values, direction)
		m2, v2 := along(target, direction)
		if math.Abs(m1-m2) > 1e-3*math.Sqrt(v2) {
			t.Errorf("the mean along a direction is %v, of the target %v", m1, m2)
		}
		if math.Abs(v1/v2-1) > 0.5 {
			t.Errorf("the variance along a direction is %v, of the target %v", v1, v2)
		}
	}
	// Principal axes from Lanczos: the variance of the mapped target along its k axes is the greatest there is, so no other
	// rows with as many columns have more.
	a := fit(t, "subspace", source, target, align.Options{Settings: align.Settings{Components: 5}, Threads: 2})
	out := a.Target.Apply(target)
	last := math.Inf(1)
	for k := range 5 {
		axis := make([]float64, 5)
		axis[k] = 1
		_, v := along(out, axis)
		if v > last*(1+1e-9) {
			t.Errorf("axis %d has more variance, %v, than the one before, %v", k, v, last)
		}
		last = v
	}
}

func along(f domain.Features, direction []float64) (mean, variance float64) {
	var all []float64
	for i := range f.Rows() {
		sum := 0.0
		for j, v := range f.Row(i) {
			sum += float64(v) * direction[j]
		}
		all = append(all, sum)
		mean += sum / float64(f.Rows())
	}
	for _, v := range all {
		variance += (v - mean) * (v - mean) / float64(len(all)-1)
	}
	return mean, variance
}

// On rows that were made so that aligning helps, it does.
func TestAligningHelps(t *testing.T) {
	source, target, truth := twoDomains(150, 60, 9)
	accuracy := func(s domain.Labelled, f domain.Features) float64 {
		right := 0
		for i := range f.Rows() {
			best, least := -1, math.Inf(1)
			for j := range s.Rows() {
				d := 0.0
				for k, v := range s.Row(j) {
					d += float64(v-f.Row(i)[k]) * float64(v-f.Row(i)[k])
				}
				if d < least {
					best, least = s.Classes[j], d
				}
			}
			if best == truth[i] {
				right++
			}
		}
		return float64(right) / float64(f.Rows())
	}
	direct := accuracy(source, target)
	for _, m := range align.Methods() {
		a := fit(t, m.Name, source, target, align.Options{Settings: align.Settings{Components: 3, Penalty: 0.1, Raw: true}, Threads: 2})
		s := domain.Labelled{Features: a.Source.Apply(source.Features), Classes: source.Classes, Count: 3}
		adapted := accuracy(s, a.Target.Apply(target))
		t.Logf("%s: %.3f, direct %.3f", m.Name, adapted, direct)
		if adapted < direct+0.05 {
			t.Errorf("%s: accuracy %.3f, without %.3f", m.Name, adapted, direct)
		}
	}
}

// Domains that differ in scale and place of each feature alone are the same once each is standardised by its own rows.
func TestStandardised(t *testing.T) {
	source, _, _ := twoDomains(60, 8, 2)
	target := domain.Features{Width: 8}
	for i, v := range source.Values {
		target.Values = append(target.Values, v*float32(1+i%8)+float32(10-i%8))
	}
	for _, m := range align.Methods() {
		a := fit(t, m.Name, source, target, align.Options{Settings: align.Settings{Components: 4}})
		s, o := a.Source.Apply(source.Features), a.Target.Apply(target)
		for i, v := range s.Values {
			if math.Abs(float64(v-o.Values[i])) > 2e-4 {
				t.Errorf("%s: row %d of the source becomes %v, of the target %v", m.Name, i/s.Width, s.Row(i/s.Width), o.Row(i/s.Width))
				break
			}
		}
	}
}

func TestWrongInput(t *testing.T) {
	source, target, _ := twoDomains(10, 4, 1)
	nan := domain.Features{Width: 4, Values: append([]float32(nil), target.Values...)}
	nan.Values[9] = float32(math.NaN())
	for want, f := range map[string]domain.Features{
		"target: 1 rows; at least 2":                              {Width: 4, Values: target.Values[:4]},
		"target: row 2 has a feature that is not a finite number": nan,
		"rows of the source have 4 features, of the target 8":     {Width: 8, Values: target.Values},
		"target: 7 values are no rows of 4 features":              {Width: 4, Values: target.Values[:7]},
	} {
		for _, m := range align.Methods() {
			_, err := m.Fit(context.Background(), source, f, align.Options{})
			if err == nil || err.Error() != m.Name+": "+want {
				t.Errorf("%s: %v, want %s", m.Name, err, want)
			}
		}
	}
	// Rows that are all alike are no reason to fail.
	same := domain.Features{Width: 4, Values: make([]float32, 40)}
	for _, m := range align.Methods() {
		a, err := m.Fit(context.Background(), domain.Labelled{Features: same, Classes: source.Classes, Count: 3}, same, align.Options{})
		if err != nil {
			t.Errorf("%s: %v", m.Name, err)
			continue
		}
		for _, v := range append(a.Source.Apply(same).Values, a.Target.Apply(same).Values...) {
			if v-v != 0 {
				t.Errorf("%s: a mapped row has %v", m.Name, v)
				break
			}
		}
	}
}
