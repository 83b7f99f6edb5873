package main

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// completeFile completes the name of a pipeline file.
func completeFile(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeStages completes the flags that name stages, from the pipeline file that the command line names already.
func (p *program) completeStages(c *cobra.Command) {
	complete := func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return p.stageNames(args[0]), cobra.ShellCompDirectiveNoFileComp
	}
	for _, flag := range []string{"only", "from", "until", "force"} {
		if c.Flags().Lookup(flag) != nil {
			_ = c.RegisterFlagCompletionFunc(flag, complete)
		}
	}
	_ = c.RegisterFlagCompletionFunc("set", func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return p.settings(args[0], typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
}

// stageNames are those of a pipeline's stages and, of a matrix, of their instances; none if it cannot be read.
func (p *program) stageNames(file string) (names []string) {
	graph, err := p.load(file, pipelineFlags{})
	if err != nil {
		return nil
	}
	known := map[string]bool{}
	for _, n := range graph.Nodes {
		for _, name := range []string{n.Declared.Name, n.Name} {
			if !known[name] {
				known[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// settings are what `--set` may begin with, stage.param=, and, of parameters whose words are known, their values.
func (p *program) settings(file, typed string) (out []string) {
	graph, err := p.load(file, pipelineFlags{})
	if err != nil {
		return nil
	}
	known := map[string]bool{}
	for _, n := range graph.Nodes {
		if known[n.Declared.Name] {
			continue
		}
		known[n.Declared.Name] = true
		if setting, _, ok := strings.Cut(typed, "="); ok {
			if path, ok := strings.CutPrefix(setting, n.Declared.Name+"."); ok {
				words := wordsOf(params.JSONSchema(n.Kind.Params), strings.Split(path, "."))
				if path == "backbone" || path == "for" {
					words, _ = completeBackbones(nil, nil, "")
				}
				for _, word := range words {
					if value := setting + "=" + word; strings.HasPrefix(value, typed) {
						out = append(out, value)
					}
				}
			}
			continue
		}
		for _, name := range parameterNames(n.Kind) {
			if setting := n.Declared.Name + "." + name + "="; strings.HasPrefix(setting, typed) {
				out = append(out, setting)
			}
		}
	}
	return out
}

// wordsOf are the words that a JSON Schema allows for the parameter at a path; none if it may be anything.
func wordsOf(schema map[string]any, path []string) (words []string) {
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		alternatives, _ := schema[key].([]any)
		for _, a := range alternatives {
			if a, ok := a.(map[string]any); ok {
				words = append(words, wordsOf(a, path)...)
			}
		}
	}
	if len(path) > 0 {
		properties, _ := schema["properties"].(map[string]any)
		if inner, ok := properties[path[0]].(map[string]any); ok {
			words = append(words, wordsOf(inner, path[1:])...)
		}
		return unique(words)
	}
	if schema["type"] == "boolean" {
		words = append(words, "true", "false")
	}
	if word, ok := schema["const"].(string); ok {
		words = append(words, word)
	}
	switch enum := schema["enum"].(type) {
	case []string:
		words = append(words, enum...)
	case []any:
		for _, word := range enum {
			if word, ok := word.(string); ok && word != "" {
				words = append(words, word)
			}
		}
	}
	return unique(words)
}

// unique leaves out what stood before, and what is empty.
func unique(words []string) (out []string) {
	for _, word := range words {
		if word != "" && !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return out
}

// completeReference completes FILE:STAGE once the file is there.
func (p *program) completeReference(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	file, _, ok := strings.Cut(typed, ":")
	if ext := strings.ToLower(filepath.Ext(file)); !ok || ext != ".yaml" && ext != ".yml" {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var out []string
	for _, name := range p.stageNames(file) {
		out = append(out, file+":"+name)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func parameterNames(k pipeline.Kind) (names []string) {
	for _, f := range params.Fields(reflect.TypeOf(k.Params)) {
		names = append(names, f.Name)
	}
	return names
}
