package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/export"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

func (p *program) showCommand() *cobra.Command {
	var (
		file   pipelineFlags
		cached cacheFlag
		head   int
		out    string
	)
	c := &cobra.Command{
		Use:   "show FILE:STAGE[.PORT] | DIGEST | model.safetensors",
		Short: "Show or export the output of a stage",
		Long: `Show the output of a stage: columns, size, metadata and the first rows. It must be in
the cache. STAGE may name one instance of a matrix:
features[weights=random]. Instead of FILE:STAGE, the digest of an artifact or a
blob, or its first digits, can be given.

For a model it shows the input and how an image file is converted to it, the outputs,
the source and licence of the weights, and why the weights of this epoch were kept. A
safetensors file of a model written by --export is shown in the same way.

--export writes the whole artifact, in the format given by the file's extension:
  .arrow        one Arrow IPC file; images are arrow.fixed_shape_tensor
  .parquet      tensors as lists; pyarrow gets the tensors back
  .csv          vectors as one column per number, images omitted
  .npy          the tensor: features, images or probabilities, [rows, ...]
  .safetensors  the tensors of a model, or the tensor as for .npy
  .png          a contact sheet of the first images`,
		Example: `  tlpipe show pipeline.yaml:images --export sheet.png
  tlpipe show pipeline.yaml:scores.metrics --head 50
  tlpipe show 'pipeline.yaml:head[weights=imagenet]' --export head.safetensors`,
		Args: one("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if head < 0 {
				return usage("--head %d: expected 0 or more rows", head)
			}
			if out != "" {
				if _, err := export.FormatOf(out); err != nil {
					return err
				}
			}
			if strings.HasSuffix(args[0], ".safetensors") {
				if out != "" {
					return usage("--export: %s is a file already", args[0])
				}
				return p.showModelFile(args[0])
			}
			store, err := cached.open(c.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			var artifact *named
			if isPipelineFile(args[0]) {
				return usage("%s is a pipeline: name a stage too, %s:STAGE", args[0], args[0])
			}
			if path, reference, ok := splitReference(args[0]); ok {
				artifact, err = p.stageArtifact(c.Context(), store, path, reference, file, "")
			} else {
				artifact, err = digestArtifact(c.Context(), store, args[0])
			}
			if err != nil {
				return err
			}
			if out != "" {
				notes, err := export.File(c.Context(), out, artifact)
				if err != nil {
					return err
				}
				for _, note := range notes {
					fmt.Fprintln(p.err, "note:", note)
				}
				_, err = fmt.Fprintf(p.err, "%s written, from %s\n", out, console.Of(artifact.Rows(), "row"))
				return err
			}
			return p.printArtifact(c.Context(), artifact, head)
		},
	}
	file.add(c)
	c.ValidArgsFunction = p.completeReference
	cached.add(c)
	c.Flags().IntVar(&head, "head", 10, "how many `rows` to show; phases of a training are shown whole")
	c.Flags().StringVar(&out, "export", "", "write the artifact to a `file`: .arrow, .parquet, .csv, .npy, .safetensors or .png")
	return c
}

// Widths of what is shown, in letters.
const (
	cellWidth     = 44
	metadataWidth = 160
)

// printArtifact shows what there is to know of an artifact, and its first rows.
func (p *program) printArtifact(ctx context.Context, a *named, head int) error {
	kind := ""
	if a.kind != "" {
		kind = " (" + string(a.kind) + ")"
	}
	fmt.Fprintf(p.out, "%s%s\nrows    %s\nsize    %s\ndigest  %s\n", a.Name(), kind, console.Count(a.Rows()), console.Bytes(a.bytes), a.Digest())
	schema, err := a.Schema(ctx)
	if err != nil || schema == nil {
		return err
	}
	columns := console.NewTable("COLUMN", "TYPE")
	heads := make([]string, schema.NumFields())
	for i, f := range schema.Fields() {
		columns.Row(f.Name, console.ColumnType(f))
		heads[i] = f.Name
		if arrow.IsPrimitive(f.Type.ID()) {
			heads[i] = ">" + f.Name
		}
	}
	fmt.Fprintln(p.out)
	if err := columns.Write(p.out, ""); err != nil {
		return err
	}
	if isModel(schema) {
		if err := p.showModel(ctx, a); err != nil {
			return err
		}
	}
	if metadata := schema.Metadata(); metadata.Len() > 0 {
		fmt.Fprintln(p.out)
		for i, key := range metadata.Keys() {
			if key == record.DescriptionKey {
				continue // told in words
			}
			fmt.Fprintf(p.out, "%s = %s\n", key, console.Shorten(metadata.Values()[i], metadataWidth))
		}
	}
	if head == 0 {
		return nil
	}
	if record.HasRows[record.PhaseLayers](schema) {
		rows, err := record.ReadRows[record.PhaseLayers](a.Batches(ctx))
		if err != nil {
			return err
		}
		return printPhases(p.out, rows)
	}
	table := console.NewTable(heads...)
	whole := schema.NumFields() == pipeline.RejectsSchema().NumFields() && schema.Field(schema.NumFields()-1).Name == record.Reason
	if whole { // which rows were rejected, and why, is told in full
		table.Fit(p.out.File)
	}
	for rec, err := range a.Batches(ctx) {
		if err != nil {
			return err
		}
		for row := range min(int(rec.NumRows()), head-table.Len()) {
			cells := make([]string, rec.NumCols())
			for i, column := range rec.Columns() {
				cells[i] = console.Cell(column, row)
				if !whole {
					cells[i] = console.Shorten(cells[i], cellWidth)
				}
			}
			table.Row(cells...)
		}
		if table.Len() == head {
			break
		}
	}
	fmt.Fprintln(p.out)
	if err := table.Write(p.out, ""); err != nil {
		return err
	}
	if rest := a.Rows() - int64(table.Len()); rest > 0 {
		_, err = fmt.Fprintf(p.out, "… %s more\n", console.Count(rest))
	}
	return err
}
