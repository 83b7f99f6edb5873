package dataset_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/record"
)

// targets lists a CSV and reads its target; each row of the listing as text.
func targets(t *testing.T, csv string, target dataset.Target) (rows []string, table *dataset.Table, err error) {
	t.Helper()
	files := map[string]string{"x.csv": csv}
	for _, line := range strings.Split(csv, "\n")[1:] {
		if path, _, ok := strings.Cut(line, ","); ok {
			files[path] = path
		}
	}
	table = list(t, of(dataset.CSV{Path: filepath.Join(write(t, files), "x.csv")}))
	if err := table.SetTarget(target); err != nil {
		return nil, table, err
	}
	rec := table.Record()
	defer rec.Release()
	if target.Class != "" {
		at, _, _ := record.Column(rec.Schema(), record.Label)
		for i := range int(rec.NumRows()) {
			rows = append(rows, rec.Column(at).ValueStr(i))
		}
		return rows, table, nil
	}
	c, err := record.NewTargetColumn(rec, record.Target)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int(rec.NumRows()) {
		switch {
		case !c.Known(i):
			rows = append(rows, "?")
		case c.Task == record.MultiLabel:
			rows = append(rows, strings.Join(c.Classes(i), "+"))
		default:
			rows = append(rows, fmt.Sprint(c.Names, c.Numbers(i)))
		}
	}
	if _, err := dataset.ParseListing(rec); err != nil {
		t.Error(err)
	}
	return rows, table, nil
}

func TestTargets(t *testing.T) {
	for name, c := range map[string]struct {
		csv     string
		target  dataset.Target
		want    []string
		rejects string
		note    string
		columns string // further ones
		counts  string // of the classes or numbers, the first row being of split train
	}{
		"one class": {
			"path,kind\na,cat\nb,\nc,dog\n", dataset.Target{Class: "kind"}, []string{"cat", "(null)", "dog"}, "", "", "kind", "",
		},
		"separated": {
			"path,tags,target,age\na,sun; sea ;sun,x,1\nb,,y,2\nc,sea,z,3\n", dataset.Target{Classes: "tags", Separator: ";"},
			[]string{"sea+sun", "?", "sea"}, "", "1 rows have nothing in tags", "target_ age", "sea 1/2 sun 1/1 ",
		},
		"empty is none": {
			"path,tags\na,sun|sea\nb,\n", dataset.Target{Classes: "tags", Separator: "|", EmptyIsNone: true}, []string{"sea+sun", ""}, "", "", "", "sea 1/1 sun 1/1 ",
		},
		"lists": {
			"path,tags\na,\"[\"\"sun\"\", \"\"sea\"\"]\"\nb,[]\nc,[1]\nd,one\n", dataset.Target{Classes: "tags"}, []string{"sea+sun", "", "one"},
			`tags is "[1]", which is no list of names`, "", "", "one 0/1 sea 1/1 sun 1/1 ",
		},
		"no separator": {
			"path,tags\na,sun|sea\nb,sea\n", dataset.Target{Classes: "tags"}, []string{"sun|sea", "sea"}, "", "say with separator", "", "sea 0/1 sun|sea 1/1 ",
		},
		"flags": {
			"path,red,blue,old\na,1,0,x\nb,No,TRUE,x\nc,0,0,x\nd,,,x\ne,1,,x\nf,2,0,x\n", dataset.Target{Flags: []string{"red", "blue"}},
			[]string{"red", "blue", "", "?"}, `blue is empty, not 0 or 1; red is "2", not 0 or 1`, "1 rows have nothing in red, blue", "old", "blue 0/1 red 1/1 ",
		},
		"flags, empty is none": {
			"path,red,blue\nd,,\ne,1,\n", dataset.Target{Flags: []string{"red", "blue"}, EmptyIsNone: true}, []string{"", "red"}, "", "", "", "blue 0/0 red 0/1 ",
		},
		"numbers": {
			"path,age,height\na,3,1.5e2\nb,,7\nc,NaN,\nd,old,1\ne,1,1e999\nf,1_000,1\ng,0x1p3,1\nh,\"3,5\",1\n", dataset.Target{Numbers: []string{"height", "age"}},
			[]string{"[height age] [150 3]", "[height age] [7 NaN]", "?"}, `age is "old", which is not a number; height is "1e999", which is not a number; age is "1_000", which is not a number; age is "0x1p3", which is not a number; age is "3,5", which is not a number: write decimals with a point, and thousands without a comma`, "1 rows have nothing in height, age", "", "height 1/2 age 1/1 ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, table, err := targets(t, c.csv, c.target)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("rows %q, want %q", got, c.want)
			}
			var reasons []string
			for _, r := range table.Rejects {
				reasons = append(reasons, r.Reason)
			}
			if got := strings.Join(reasons, "; "); got != c.rejects {
				t.Errorf("rejects %q, want %q", got, c.rejects)
			}
			if notes := strings.Join(table.Notes, "\n"); !strings.Contains(notes, c.note) || c.note == "" && notes != "" {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
			if c.target.Class == "" {
				table.All[0].Split = record.Train
				counts := ""
				o := table.Overview(nil)
				for _, n := range o.Targets {
					counts += fmt.Sprintf("%s %d/%d ", n.Name, n.Rows[record.Train], n.Total())
				}
				if counts != c.counts || strings.Join(o.Columns, " ") != c.columns {
					t.Errorf("overview %q, want %q; columns %v", counts, c.counts, o.Columns)
				}
			}
			rec := table.Record()
			defer rec.Release()
			names := record.ColumnNames(rec.Schema())
			further := slices.DeleteFunc(names[5:len(names)-4], func(name string) bool { return name == record.Target })
			if got := strings.Join(further, " "); got != c.columns {
				t.Errorf("further columns %q, want %q", got, c.columns)
			}
		})
	}
	for want, target := range map[string]dataset.Target{
		`there is no column "size"`:             {Numbers: []string{"size"}},
		"no row has a target that can be read":  {Flags: []string{"age"}},
		`the last: age is "4", not 0 or 1`:      {Flags: []string{"age"}},
		`tags is "sun", which is not a number`:  {Numbers: []string{"tags"}},
		`there is no column "label_"; columns:`: {Class: "label_"},
	} {
		if _, _, err := targets(t, "path,tags,age\na,sun,3\nb,sun,4\n", target); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %q", target, err, want)
		}
	}
}
