package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"text/template"

	"github.com/spf13/cobra"
)

//go:embed starter
var starterFiles embed.FS

func (p *program) initCommand() *cobra.Command {
	var pictures string
	c := &cobra.Command{
		Use:   "init DIR",
		Short: "Write a starter pipeline for your own folder of images",
		Example: `  tlpipe init flowers
  tlpipe init flowers --pictures ~/Pictures/flowers`,
		Args: one("DIR"),
		RunE: func(_ *cobra.Command, args []string) error { return p.writeStarter(args[0], pictures) },
	}
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
