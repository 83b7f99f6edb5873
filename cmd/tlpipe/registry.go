package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/export"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/registry"
	"github.com/tlpipe/tlpipe/pipeline"
)

// registryFlag chooses the folder of models.
type registryFlag struct{ dir string }

func (f *registryFlag) add(c *cobra.Command) {
	c.Flags().StringVar(&f.dir, "registry", "", "the `folder` of registered models (default $TLPIPE_REGISTRY, or tlpipe-models in the current folder)")
}

func (f *registryFlag) open() *registry.Registry {
	return registry.At(cmp.Or(f.dir, os.Getenv("TLPIPE_REGISTRY"), "tlpipe-models"))
}

// asUsage makes a mistake in a name, version or tag a usage error.
func asUsage(err error) error {
	if wrong := new(registry.RequestError); errors.As(err, &wrong) {
		return usage("%w", err)
	}
	return err
}

func (p *program) modelsAddCommand() *cobra.Command {
	var (
		file   pipelineFlags
		cached cacheFlag
		folder registryFlag
		tag    string
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "add FILE:STAGE NAME",
		Short: "Keep a trained model as the next version of NAME",
		Long: `Keep a trained model as the next version of NAME, in a folder that can be committed
or synchronised: its weights, and what is known of it: recipe, digests of the data,
rows per class and split, metrics with intervals, and the licences of the weights that
it was trained from. The pipeline must have run. A model that is there already is not
added again; what was measured of it since is recorded.`,
		Example: `  tlpipe models add pipeline.yaml:head flowers
  tlpipe models add pipeline.yaml:head flowers --tag production`,
		Args: exactly("FILE:STAGE", "NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			v, isNew, err := p.register(c.Context(), args[0], args[1], file, cached, folder.open())
			if err != nil {
				return asUsage(err)
			}
			before := 0
			if tag != "" {
				if _, before, err = folder.open().SetTag(fmt.Sprintf("%s@%d", v.Name, v.Number), tag); err != nil {
					return asUsage(err)
				}
			}
			if asJSON {
				return p.out.JSON().Encode(v)
			}
			what := "added"
			if !isNew {
				what = "there already"
			}
			fmt.Fprintf(p.out, "%s version %d: %s, %s, SHA-256 %s\n", v.Name, v.Number, what, console.Bytes(v.Bytes), v.SHA256)
			if licences := v.Description.LicencesInWords(); licences != "" {
				fmt.Fprintf(p.out, "licences of the weights it was made from: %s\n", console.Line(licences))
			}
			return p.printTag(tag, v.Number, before)
		},
	}
	file.add(c)
	cached.add(c)
	folder.add(c)
	c.Flags().StringVar(&tag, "tag", "", "point this `tag` to the version")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) printTag(tag string, now, before int) error {
	if tag == "" {
		return nil
	}
	text := fmt.Sprintf("%s: version %d", tag, now)
	if before != 0 && before != now {
		text += fmt.Sprintf(" (was %d)", before)
	}
	_, err := fmt.Fprintln(p.out, text)
	return err
}

// register adds the model that a stage made.
func (p *program) register(ctx context.Context, from, name string, file pipelineFlags, cached cacheFlag, to *registry.Registry) (_ registry.Facts, isNew bool, err error) {
	path, reference, ok := splitReference(from)
	if !ok {
		return registry.Facts{}, false, usage("%s: expected FILE:STAGE", from)
	}
	store, err := cached.open(ctx)
	if err != nil {
		return registry.Facts{}, false, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	graph, err := p.load(path, file)
	if err != nil {
		return registry.Facts{}, false, err
	}
	artifact, err := p.stageArtifact(ctx, store, path, reference, file, pipeline.Model)
	if err != nil {
		return registry.Facts{}, false, err
	}
	model, err := classifier.ReadTasks(ctx, artifact)
	if err != nil {
		return registry.Facts{}, false, err
	}
	node, port, err := graph.Find(reference, pipeline.Model)
	if err != nil {
		return registry.Facts{}, false, err
	}
	facts, err := factsOf(ctx, store, graph, node, port.Name)
	if err != nil {
		return registry.Facts{}, false, err
	}
	facts.Name, facts.Model, facts.Program = name, artifact.Digest(), version()
	facts.Description = model.Description
	facts.Parameters, _ = model.Network.ParameterCount()
	return to.Add(facts, func(w io.Writer) error {
		_, err := export.Write(ctx, w, export.SafeTensors, artifact)
		return err
	})
}

func (p *program) modelsHistoryCommand() *cobra.Command {
	var (
		folder registryFlag
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "history [NAME]",
		Short: "List the versions of a registered model",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r := folder.open()
			names := args
			if len(args) == 0 {
				var err error
				if names, err = r.Names(); err != nil {
					return err
				}
			}
			var all []registry.Facts
			table := console.NewTable("MODEL", ">VERSION", "ADDED", "PIPELINE", "MEASURED", ">SIZE", "LICENCE", "TAGS")
			for _, name := range names {
				versions, err := r.History(name)
				if err != nil {
					return asUsage(err)
				}
				if len(versions) == 0 && len(args) > 0 {
					_, err := r.Find(name)
					return asUsage(err)
				}
				tags, err := r.Tags(name)
				if err != nil {
					return err
				}
				for _, v := range versions {
					table.Row(v.Name, strconv.Itoa(v.Number), v.Added.Local().Format("2006-01-02 15:04"), v.Pipeline+":"+v.Stage, measuredInWords(v),
						console.Bytes(v.Bytes), v.Description.LicencesInWords(), strings.Join(tagsOf(tags, v.Number), ", "))
				}
				all = append(all, versions...)
			}
			switch {
			case asJSON:
				return p.out.JSON().Encode(all)
			case len(all) == 0:
				_, err := fmt.Fprintln(p.err, "no model is registered: `tlpipe models add FILE:STAGE NAME` adds one")
				return err
			}
			return table.Write(p.out, "")
		},
	}
	folder.add(c)
	c.ValidArgsFunction = folder.complete
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// complete lists the names of models for shells.
func (f *registryFlag) complete(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	names, _ := f.open().Names()
	return names, cobra.ShellCompDirectiveNoFileComp
}

func tagsOf(tags []registry.Tag, number int) (names []string) {
	for _, t := range tags {
		if t.Version() == number {
			names = append(names, t.Name)
		}
	}
	return names
}

// measuredInWords is the first number that each evaluation tells of a model.
func measuredInWords(v registry.Facts) string {
	var parts []string
	for _, m := range v.Measured {
		headline := m.Headline()
		if len(headline) == 0 {
			continue
		}
		best := headline[0]
		for _, x := range headline {
			if x.Name == record.Accuracy || x.Name == record.MeanAveragePrecision || x.Name == record.R2 {
				best = x
				break
			}
		}
		parts = append(parts, fmt.Sprintf("%s %s %.3f", m.Split, strings.ReplaceAll(best.Name, "_", " "), best.Value))
	}
	return strings.Join(parts, ", ")
}

func (p *program) modelsTagCommand() *cobra.Command {
	var folder registryFlag
	c := &cobra.Command{
		Use:     "tag NAME@VERSION TAG",
		Short:   "Point a tag to a version of a registered model",
		Example: `  tlpipe models tag flowers@3 production`,
		Args:    exactly("NAME@VERSION", "TAG"),
		RunE: func(_ *cobra.Command, args []string) error {
			r := folder.open()
			v, before, err := r.SetTag(args[0], args[1])
			if err != nil {
				return asUsage(err)
			}
			return p.printTag(v.Name+"@"+args[1], v.Number, before)
		},
	}
	folder.add(c)
	return c
}

func (p *program) modelsRollbackCommand() *cobra.Command {
	var folder registryFlag
	c := &cobra.Command{
		Use:     "rollback NAME@TAG",
		Short:   "Point a tag to the version that it pointed to before",
		Example: `  tlpipe models rollback flowers@production`,
		Args:    one("NAME@TAG"),
		RunE: func(_ *cobra.Command, args []string) error {
			name, tag, ok := strings.Cut(args[0], "@")
			if !ok {
				return usage("%s: expected NAME@TAG", args[0])
			}
			now, left, err := folder.open().Rollback(name, tag)
			if err != nil {
				return asUsage(err)
			}
			return p.printTag(args[0], now, left)
		},
	}
	folder.add(c)
	return c
}

func (p *program) modelsDiffCommand() *cobra.Command {
	var (
		folder registryFlag
		asJSON bool
	)
	c := &cobra.Command{
		Use:     "diff NAME@A NAME@B",
		Short:   "Show what two versions of registered models differ in",
		Example: `  tlpipe models diff flowers@production flowers`,
		Args:    exactly("NAME@A", "NAME@B"),
		RunE: func(_ *cobra.Command, args []string) error {
			r := folder.open()
			a, err := r.Find(args[0])
			if err != nil {
				return asUsage(err)
			}
			b, err := r.Find(args[1])
			if err != nil {
				return asUsage(err)
			}
			changes := registry.Compare(a, b)
			if asJSON {
				return p.out.JSON().Encode(changes)
			}
			if len(changes) == 0 {
				_, err := fmt.Fprintln(p.out, "no difference")
				return err
			}
			table := console.NewTable("WHAT", fmt.Sprintf("%s@%d", a.Name, a.Number), fmt.Sprintf("%s@%d", b.Name, b.Number))
			for _, x := range changes {
				table.Row(x.What, cmp.Or(x.From, "none"), cmp.Or(x.To, "none"))
			}
			return table.Write(p.out, "")
		},
	}
	folder.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) modelsCardCommand() *cobra.Command {
	var (
		folder registryFlag
		out    string
	)
	c := &cobra.Command{
		Use:   "card NAME[@VERSION]",
		Short: "Write the model card of a registered model",
		Long: `Write the model card of a registered model in Markdown, with the front matter that
Hugging Face's hub reads. It has facts alone: the data, the metrics with their
intervals, the classes and slices where the model is weakest, the recipe, and the
licences of the weights it was trained from.`,
		Example: `  tlpipe models card flowers@production --out README.md`,
		Args:    one("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			v, err := folder.open().Find(args[0])
			if err != nil {
				return asUsage(err)
			}
			card, err := registry.Card(v)
			if err != nil {
				return err
			}
			if out == "" {
				_, err = io.WriteString(p.out, card)
				return err
			}
			return writeFile(out, func(w io.Writer) error {
				_, err := io.WriteString(w, card)
				return err
			})
		},
	}
	folder.add(c)
	c.ValidArgsFunction = folder.complete
	c.Flags().StringVar(&out, "out", "", "write it to this `file`")
	return c
}
