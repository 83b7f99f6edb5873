package confident_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/confident"
)

// reference is what testdata/make_issues.py wrote.
type reference struct {
	Problems []struct {
		Classes       int
		Truth, Given  []int
		Probabilities []float32
		Issues        []int
	}
}

// The rows found, and their order, are those of cleanlab, the authors' implementation.
func TestIssuesAgainstCleanlab(t *testing.T) {
	data, err := os.ReadFile("testdata/issues.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(data, &ref); err != nil {
		t.Fatal(err)
	}
	for k, p := range ref.Problems {
		issues, err := confident.Find(p.Given, p.Probabilities, p.Classes)
		if err != nil {
			t.Fatal(err)
		}
		var rows []int
		for _, issue := range issues {
			rows = append(rows, issue.Row)
		}
		common, planted := 0, 0
		for _, row := range rows {
			if slices.Contains(p.Issues, row) {
				common++
			}
			if p.Given[row] != p.Truth[row] {
				planted++
			}
		}
		all := 0
		for i := range p.Given {
			if p.Given[i] != p.Truth[i] {
				all++
			}
		}
		t.Logf("problem %d: %d rows found, %d by cleanlab, %d by both; %d of %d planted errors", k, len(rows), len(p.Issues), common, planted, all)
		if !slices.Equal(rows, p.Issues) {
			t.Errorf("problem %d: found %v, cleanlab finds %v", k, rows, p.Issues)
		}
		if !slices.IsSortedFunc(issues, func(a, b confident.Issue) int {
			switch {
			case a.Probability < b.Probability:
				return -1
			case a.Probability > b.Probability:
				return 1
			}
			return 0
		}) {
			t.Errorf("problem %d: the least probable labels do not come first", k)
		}
	}
}

func TestCleanLabelsHaveNoIssues(t *testing.T) {
	labels := []int{0, 0, 1, 1, 2}
	p := []float32{.9, .05, .05, .8, .1, .1, .1, .8, .1, .2, .7, .1, .1, .1, .8}
	issues, err := confident.Find(labels, p, 3)
	if err != nil || len(issues) != 0 {
		t.Errorf("issues %v, error %v", issues, err)
	}
	// Sure that the only row of a class is of another: it is still the only one of its class, and stays.
	if issues, err = confident.Find([]int{0, 0, 0, 1}, []float32{.9, .1, .9, .1, .8, .2, .99, .01}, 2); err != nil || len(issues) != 0 {
		t.Errorf("issues %v, error %v", issues, err)
	}
}

func TestWhatIsNoProblem(t *testing.T) {
	for _, bad := range []struct {
		labels  []int
		p       []float32
		classes int
	}{{[]int{0}, []float32{1}, 2}, {[]int{2}, []float32{.5, .5}, 2}, {[]int{-1}, []float32{.5, .5}, 2}, {nil, nil, 0}} {
		if _, err := confident.Find(bad.labels, bad.p, bad.classes); err == nil {
			t.Errorf("%v of %d classes is taken", bad.labels, bad.classes)
		}
	}
	if issues, err := confident.Find(nil, nil, 3); err != nil || issues != nil {
		t.Errorf("no rows have issues %v, error %v", issues, err)
	}
}
