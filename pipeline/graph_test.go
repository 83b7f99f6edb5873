package pipeline_test

import (
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/pipeline"
)

func problems(t *testing.T, text string, overrides ...pipeline.Override) string {
	t.Helper()
	_, err := pipeline.Load("p.yaml", []byte(text), newWorld(1).kinds(), overrides...)
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestEveryProblemIsToldAtOnce(t *testing.T) {
	want(t, problems(t, `name: many
sed: 3
stages:
  rows: {uses: sorce}
  small:
    uses: modulo
    from: row
    with: {bye: 3, by: zero}
  total: {uses: sum, from: small, with: {plus: $(pus)}}
`), `p.yaml:2:1: unknown key "sed"
    2 | sed: 3
      | ^
        hint: did you mean "seed"?
p.yaml:4:16: stage rows uses "sorce", which is not a kind of stage
    4 |   rows: {uses: sorce}
      |                ^
        hint: did you mean "source"?
p.yaml:7:11: stage small takes from "row", which is not declared
    7 |     from: row
      |           ^
        hint: did you mean "rows"?
p.yaml:8:12: stage small: unknown key "bye"
    8 |     with: {bye: 3, by: zero}
      |            ^
        hint: did you mean "by"?
p.yaml:8:24: stage small: by: expected a whole number, found "zero"
    8 |     with: {bye: 3, by: zero}
      |                        ^
p.yaml:9:48: there is no variable "pus"
    9 |   total: {uses: sum, from: small, with: {plus: $(pus)}}
      |                                                ^
        hint: declare it under vars:`)
}

// Mistakes of the YAML itself, and what YAML has and pipelines do not, are told once, with their line.
func TestOneProblemEach(t *testing.T) {
	const stages = "stages: {rows: {uses: source}}\n"
	for _, c := range []struct{ name, text, want string }{
		{"tab", "name: a\nstages:\n\trows: {uses: source}\n", `p.yaml:3:1: a tab indents this line
    3 | 	rows: {uses: source}
      | ^
        hint: YAML is indented with spaces alone`},
		{"colon", "name: a: b\n" + stages, `p.yaml:1:8: a second colon stands in this line's value
    1 | name: a: b
      |        ^
        hint: put the value into quotes: name: "a: b"`},
		{"merge", "vars: {c: &c {from: 3}}\nstages:\n  rows:\n    uses: source\n    with: {<<: *c}\n", `p.yaml:5:12: merge keys (<<) are not supported
    5 |     with: {<<: *c}
      |            ^
        hint: write the keys out, or put the value under vars: and use it as $(name)`},
		{"extension", "x-note: a\n" + stages, `p.yaml:1:1: unknown key "x-note"
    1 | x-note: a
      | ^
        hint: what several stages share goes under vars: and is used as $(name)`},
		{"synonym", "stages: {rows: {type: source}}\n", `p.yaml:1:16: stages.rows: key "uses" is required
    1 | stages: {rows: {type: source}}
      |                ^
        hint: the kind of stage
p.yaml:1:17: stages.rows: unknown key "type"
    1 | stages: {rows: {type: source}}
      |                 ^
        hint: did you mean "uses"?`},
	} {
		t.Run(c.name, func(t *testing.T) { want(t, problems(t, c.text), c.want) })
	}
}

func TestProblems(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"empty", "", "the file is empty"},
		{"not YAML", "stages: [", "p.yaml:1:0: not valid YAML"},
		{"a list", "- a", "expected a mapping"},
		{"two documents", "stages: {r: {uses: source}}\n---\na: 1\n", "a second YAML document begins here"},
		{"no stages", "name: x", `key "stages" is required`},
		{"empty stages", "stages: {}", "there are no stages"},
		{"cycle", "stages:\n  a: {uses: modulo, from: b}\n  b: {uses: modulo, from: a}\n", "the stages go round in a circle: a → b → a"},
		{"self", "stages:\n  a: {uses: modulo, from: a}\n", "the stages go round in a circle: a → a"},
		{"missing input", "stages:\n  a: {uses: modulo}\n", "stage a (modulo) needs its input numbers"},
		{"input of a source", "stages:\n  r: {uses: source}\n  s: {uses: source, from: r}\n", "stage s (source) takes no input"},
		{"unknown port", "stages:\n  r: {uses: source}\n  s: {uses: modulo, from: {nubmers: r}}\n", `has no input "nubmers"`},
		{"unknown output", "stages:\n  r: {uses: source}\n  s: {uses: modulo, from: r.numbrs}\n", `has no output "numbrs"`},
		{"kind of port", "stages:\n  r: {uses: source}\n  s: {uses: sum, from: r}\n  m: {uses: modulo, from: s}\n", "takes features, but stage s (sum) gives sum (metrics)"},
		{"two for one", "stages:\n  r: {uses: source}\n  s: {uses: modulo, from: [r, r]}\n", "takes one stage, not 2"},
		{"twice", "stages:\n  r: {uses: source}\n  r: {uses: source}\n", `"r" is given twice`},
		{"bad name", "stages:\n  1r: {uses: source}\n", "cannot name a stage"},
		{"out of range", "stages:\n  r: {uses: source}\n  s: {uses: modulo, from: r, with: {by: 0}}\n", "0 is below the smallest allowed value, 1"},
		{"no instance", "stages:\n  r: {uses: source}\n  s: {uses: modulo, from: r, matrix: {by: [2]}, with: {by: $(by)}}\n  t: {uses: modulo, from: \"s[by=3]\"}\n", "stage s has no instance [by=3]"},
		{"no values", "stages:\n  r: {uses: source}\n  s: {uses: modulo, from: r, matrix: {by: []}, with: {by: $(by)}}\n", "the axis has no values"},
		{"max_rejects", "stages:\n  r: {uses: source, max_rejects: some}\n", "expected a number of rows or a share of them"},
		{"alias bomb", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n", "with its aliases filled in it holds more than 1000000 values"},
		{"axis of a variable, twice", "vars: {all: [2, 2]}\nstages:\n  r: {uses: source}\n  s: {uses: modulo, from: r, matrix: {by: $(all)}, with: {by: $(by)}}\n", `"2" stands twice on the axis`},
		{"axis that nothing uses", "stages:\n  r: {uses: source}\n  s: {uses: modulo, from: r, matrix: {by: [2, 3]}}\n  t: {uses: sum, from: s}\n", "3:39: no parameter of stage s, or of one that follows, takes the values of axis by"},
		{"axis of a seed that changes nothing", "stages:\n  r: {uses: source}\n  s: {uses: modulo, from: r, seed: $(n), matrix: {n: [2, 3]}}\n", "takes the values of axis n"},
		{"axis of equal numbers", "stages:\n  r: {uses: source}\n  s: {uses: modulo, from: r, matrix: {by: [2, 3, 2.0]}, with: {by: $(by)}}\n", "3:50: 2 and 2.0 on axis by are the same number"},
		{"axis of equal numbers with names", "vars: {x: 0.1}\nstages:\n  r: {uses: source}\n  s: {uses: modulo, from: r, matrix: {by: {a: $(x), b: 1e-1}}, with: {by: $(by)}}\n", "a and b on axis by are the same number"},
		{"axis of a variable, nested", "vars: {all: [2, {a: 3}]}\nstages:\n  r: {uses: source}\n  s: {uses: modulo, from: r, matrix: {by: $(all)}, with: {by: $(by)}}\n", "a list of axis values takes plain values"},
		{"axis of a variable, empty", "vars: {all: []}\nstages:\n  r: {uses: source}\n  s: {uses: modulo, from: r, matrix: {by: $(all)}, with: {by: $(by)}}\n", "the axis has no values"},
		{"axis of a variable, no label", "vars: {all: [\"a,b\"]}\nstages:\n  r: {uses: source}\n  s: {uses: modulo, from: r, matrix: {by: $(all)}, with: {by: $(by)}}\n", `"a,b" cannot label an axis value`},
	}
	for _, c := range cases {
		got := problems(t, c.text)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s:\n%s\nwant %s", c.name, got, c.want)
		}
		if strings.Contains(got, "fit together") {
			t.Errorf("%s: what follows from the fault is told as another:\n%s", c.name, got)
		}
	}
}

func TestVariablesAndOverrides(t *testing.T) {
	const text = `
vars: {n: 3, all: {by: 5}, word: $(n)0}
stages:
  rows: {uses: source}
  a: {uses: modulo, from: rows, with: {by: $(word)}}
  b: {uses: modulo, from: rows, with: $(all)}
`
	load := func(overrides ...pipeline.Override) string {
		g, err := pipeline.Load("p.yaml", []byte(text), newWorld(1).kinds(), overrides...)
		if err != nil {
			return err.Error()
		}
		var out []string
		for _, n := range g.Nodes[1:] {
			by, _ := n.Recipe.Get("params.by")
			out = append(out, by)
		}
		return strings.Join(out, " ")
	}
	want(t, load(), "30 5")
	want(t, load(pipeline.Override{Path: "vars.n", Value: "4"}, pipeline.Override{Path: "b.by", Value: "6"}), "40 6")
	want(t, load(pipeline.Override{Path: "c.by", Value: "4"}), "p.yaml: set c.by: there is no stage c\n        hint: known: rows, a, b")
	want(t, load(pipeline.Override{Path: "vars.m", Value: "4"}), "p.yaml: set vars.m: the pipeline has no variable m\n        hint: known: n, all, word")
	want(t, load(pipeline.Override{Path: "a.by", Value: " "}), "p.yaml: set a.by: there is no value")
	want(t, load(pipeline.Override{Path: "a.bye", Value: "4"}), "p.yaml: stage a: unknown key \"bye\" (set from outside the file)\n        hint: did you mean \"by\"?")
}

func TestOverrideWithinAVariable(t *testing.T) {
	const text = `
vars: {all: {bad: [1], scale: 5}}
stages:
  a: {uses: source, with: $(all)}
  b: {uses: source, with: $(all)}
  c: {uses: source, matrix: {m: {x: {scale: 2}}}, with: $(m)}
`
	override := pipeline.Override{Path: "a.scale", Value: "6"}
	g, err := pipeline.Load("p.yaml", []byte(text), newWorld(1).kinds(), override)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range g.Nodes {
		scale, _ := n.Recipe.Get("params.scale")
		bad, _ := n.Recipe.Get("params.bad[0]")
		got = append(got, scale+"/"+bad)
	}
	want(t, got, "[6/1 5/1 2/]")
	override.Path = "c.scale"
	if _, err = pipeline.Load("p.yaml", []byte(text), newWorld(1).kinds(), override); err == nil || !strings.Contains(err.Error(), "stands for all of it") {
		t.Errorf("a value within an axis is set: %v", err)
	}
}

func TestAxisOfVariablesIsLabelledByTheirValues(t *testing.T) {
	const text = `
vars: {few: 2, many: 90}
stages:
  r: {uses: source, matrix: {scale: [$(few), $(many)]}, with: {scale: $(scale)}}
`
	g, err := pipeline.Load("p.yaml", []byte(text), newWorld(1).kinds())
	if err != nil {
		t.Fatal(err)
	}
	want(t, g.Nodes[0].Name+" "+g.Nodes[1].Name, "r[scale=2] r[scale=90]")
	_, err = pipeline.Load("p.yaml", []byte(text), newWorld(1).kinds(), pipeline.Override{Path: "vars.few", Value: "90"})
	if err == nil || !strings.Contains(err.Error(), `"90" stands twice on the axis`) {
		t.Errorf("two of one name: %v", err)
	}
}

func TestRecipeIgnoresSpelling(t *testing.T) {
	recipe := func(with string) string {
		g, err := pipeline.Load("p.yaml", []byte("stages:\n  r: {uses: source"+with+"}\n"), newWorld(1).kinds())
		if err != nil {
			t.Fatal(err)
		}
		return g.Nodes[0].Recipe.Digest()
	}
	plain := recipe("")
	for _, same := range []string{", with: {}", ", with: {scale: 1}", ", with: {scale: 1, bad: []}", ", on_error: fail"} {
		want(t, recipe(same), plain)
	}
	if recipe(", with: {scale: 2}") == plain {
		t.Error("another scale, the same recipe")
	}
}

func FuzzLoad(f *testing.F) {
	budgettest.Texts(f, 500, simple, branches, "vars: {a: $(a), b: [*x]}\nstages: {r: &x {uses: source, with: *x}}\n",
		"stages: {s: {uses: modulo, matrix: {by: {a: {by: 1}}}, with: $(by), from: {numbers: [\"r[a=b].c\"]}}}",
		"max_values: 500\nvars: {a: [1, 2, 3], b: [$(a), $(a)], c: [$(b), $(b)]}\nstages: {s: {uses: source, matrix: {x: $(c), y: [1, 2]}, with: {scale: $(x)}}}")
	f.Fuzz(func(t *testing.T, text string) {
		var err error
		budgettest.Within(t, len(text), func() { _, err = pipeline.Load("p.yaml", []byte(text), newWorld(1).kinds()) })
		if _, isProblems := err.(pipeline.Problems); err != nil && !isProblems {
			t.Errorf("%T: %v", err, err)
		}
	})
}
