package params_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/pipeline/params"
)

type address string

func (a address) ShowParam() string { before, _, _ := strings.Cut(string(a), "?"); return before }

type access struct {
	Token string `yaml:"token" secret:"true" doc:"who asks"`
	Tries int    `yaml:"tries" doc:"how often"`
}

type download struct {
	From   address            `yaml:"from" doc:"where it is"`
	Access *access            `yaml:"access" doc:"how to get at it"`
	Others []address          `yaml:"others" doc:"mirrors"`
	ByName map[string]address `yaml:"by_name" doc:"mirrors with names"`
	PIN    int                `yaml:"pin" secret:"true" doc:"a number"`
}

func TestSecretsAreNotInRecipesNorShown(t *testing.T) {
	const text = `
from: http://h/a?SECRET
access: {token: SECRET, tries: 2}
others: ["http://h/b?SECRET"]
by_name: {c: "http://h/c?SECRET"}
pin: 1234
`
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(text), &node); err != nil {
		t.Fatal(err)
	}
	var d download
	if errs := params.Decode(&node, &d); len(errs) > 0 {
		t.Fatal(errs)
	}
	if d.Access.Token != "SECRET" || d.From != "http://h/a?SECRET" || d.PIN != 1234 {
		t.Errorf("%+v", d)
	}
	if got, want := fmt.Sprint(params.Canonical(d)), `[{access.tries 2} {by_name."c" "http://h/c"} {from "http://h/a"} {others[0] "http://h/b"}]`; got != want {
		t.Errorf("recipe %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(params.Flatten(d)), `[{access.token (secret)} {access.tries 2} {by_name."c" "http://h/c"} {from "http://h/a"} {others[0] "http://h/b"} {pin (secret)}]`; got != want {
		t.Errorf("shown %s, want %s", got, want)
	}
	schema, err := json.Marshal(params.JSONSchema(download{PIN: 1234}))
	if err != nil || strings.Contains(string(schema), "1234") || !strings.Contains(string(schema), `"writeOnly":true`) {
		t.Errorf("schema %s, %v", schema, err)
	}
}

func TestMayBeSecret(t *testing.T) {
	for path, want := range map[string]bool{
		"from": true, "from.url": true, "access": false, "access.token": true, "access.tries": false, "others": true,
		"others[0]": true, "others[1].url": true, "by_name": false, "by_name.c": true, "pin": true, "none": false, "": false,
	} {
		if got := params.MayBeSecret(reflect.TypeFor[download](), path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
