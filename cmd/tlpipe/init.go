package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/starter"
	"github.com/tlpipe/tlpipe/pipeline"
)

//go:embed starter
var starterFiles embed.FS

func (p *program) initCommand() *cobra.Command {
	var pictures, data string
	c := &cobra.Command{
		Use:   "init DIR",
		Short: "Write a starter pipeline for your own images or texts",
		Long: `Write a starter pipeline for your own folder of images. With --data, look at the
images or texts first (rows, classes, balance, sizes, splits, domains) and write a
pipeline that fits them, each choice with its reason as a comment. Texts are a table with
one text per row (.csv, .tsv, .jsonl, .parquet, ...), or a folder with one sub-folder of
text files, web pages or mails per class.`,
		Example: `  tlpipe init flowers
  tlpipe init flowers --data ~/Pictures/flowers
  tlpipe init reviews --data reviews.csv`,
		Args: one("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case data != "" && pictures != "":
				return usage("--data and --pictures both name the images: --data looks at them, --pictures does not")
			case data != "":
				return p.writeFitting(c.Context(), args[0], data)
			}
			return p.writeStarter(args[0], pictures)
		},
	}
	c.Flags().StringVar(&data, "data", "", "look at this `folder` of images or texts, or table of texts, and write a pipeline that fits it")
	c.Flags().StringVar(&pictures, "pictures", "", "the `folder` with one sub-folder of images per class (default: pictures in DIR)")
	return c
}

// writeStarter writes a pipeline and a README; it overwrites nothing.
func (p *program) writeStarter(dir, pictures string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	with := map[string]string{"Name": filepath.Base(abs), "File": "pipeline.yaml", "Pictures": "pictures", "Place": "`pictures/`"}
	if pictures != "" {
		folder, err := filepath.Abs(pictures)
		if err != nil {
			return err
		}
		with["Pictures"], with["Place"] = strconv.Quote(folder), "`"+folder+"`"
	}
	if pictures == "" && starter.HoldsClasses(dir) {
		return usage("%s holds class folders of images already: `tlpipe init PROJECT --data %s` writes a pipeline for them into a folder PROJECT", dir, strconv.Quote(dir))
	}
	names := []string{"pipeline.yaml", "README.md"}
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return usage("%s is there already; nothing was written", filepath.Join(dir, name))
		}
	}
	made := dir
	if pictures == "" {
		made = filepath.Join(dir, "pictures")
	}
	if err := os.MkdirAll(made, 0o777); err != nil {
		return err
	}
	for _, name := range names {
		if err := writeTemplate(filepath.Join(dir, name), "starter/"+name, with); err != nil {
			return err
		}
		fmt.Fprintln(p.out, filepath.Join(dir, name))
	}
	if pictures == "" {
		fmt.Fprintf(p.err, "put images into %s, one folder per class, then: tlpipe run %s\n", made, filepath.Join(dir, names[0]))
	} else {
		fmt.Fprintf(p.err, "now: tlpipe run %s\n", filepath.Join(dir, names[0]))
	}
	return nil
}

// writeFitting writes the pipeline that fits data; it overwrites nothing.
func (p *program) writeFitting(ctx context.Context, dir, data string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	folder, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "pipeline.yaml")
	if _, err := os.Lstat(path); err == nil {
		return usage("%s is there already; nothing was written", path)
	}
	facts, err := starter.Look(ctx, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return usage("there is no folder or file %s", data)
	}
	if err != nil && ctx.Err() == nil {
		return usage("%w", err)
	}
	if err != nil {
		return err
	}
	text, err := starter.Pipeline(filepath.Base(abs), facts)
	if err != nil {
		return usage("%v", err)
	}
	if _, err := pipeline.Load(path, []byte(text), p.kinds); err != nil {
		return fmt.Errorf("the pipeline that was to be written is not valid: %w", err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	err = writeFile(path, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(p.out, path)
	fmt.Fprintf(p.err, "now: tlpipe run %s\n", path)
	return nil
}

func writeTemplate(path, name string, with any) (err error) {
	t, err := template.ParseFS(starterFiles, name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return usage("%s is there already", path)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return t.Execute(f, with)
}
