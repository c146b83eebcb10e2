package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

func (a *app) blobCommand() *cobra.Command {
	return group("blob", "Store and fetch large things",
		a.blobPutCommand(), a.blobGetCommand(), a.blobFetchCommand(),
		command("stat DB REF", "Tell what is known of a blob", "syncbase blob stat notes REF -o json", cobra.ExactArgs(2), a.blobStat),
		command("list DB", "List the blobs that are here or that rows refer to", "syncbase blob list notes", cobra.ExactArgs(1), a.blobList),
	)
}

func (a *app) blobPutCommand() *cobra.Command {
	var wanted string
	var cmd *cobra.Command
	cmd = command("put DB FILE", "Store a file as a blob and print its reference", `
syncbase blob put notes holiday.mp4
tar c photos | syncbase blob put notes -
syncbase blob put notes holiday.mp4 --resume REF`, cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
		if cmd.Flags().Changed("resume") {
			if err := checkRef("", wanted); err != nil {
				return usagef("--resume: %w", err)
			}
		}
		return a.blobPut(ctx, args[0], args[1], wanted)
	})
	cmd.Long = `Store a file as a blob and print its reference. Of a put that was cut short, and of a blob that has come in part, what is stored
already is not stored again: put the file once more. With --resume, that is an error unless it makes that very blob whole.`
	cmd.Flags().StringVar(&wanted, "resume", "", "reference that the file is known to have")
	return cmd
}

// blobPut stores a file, which is to have the reference that is wanted, if one is.
func (a *app) blobPut(ctx context.Context, db, file, wanted string) error {
	in, closeInput, err := a.open(ctx, file)
	if err != nil {
		return err
	}
	defer closeInput()
	return a.connect(ctx, func(c *client.Client) error {
		bar := a.progress("put", size(in))
		defer bar.end()
		ref, n, err := c.Database(db).PutBlob(ctx, bar.reading(in))
		bar.end()
		if err != nil {
			return advise(ctx, err, "no blob was made; put it again, and what is stored already is not stored twice")
		}
		if wanted != "" && ref != wanted {
			return fmt.Errorf("%s is not %s, but %s", file, wanted, ref)
		}
		return a.say(struct {
			Ref  string `json:"ref"`
			Size uint64 `json:"size"`
		}{ref, n}, "%s", ref)
	})
}

func (a *app) blobGetCommand() *cobra.Command {
	var opts client.GetBlobOptions
	var out string
	var cmd *cobra.Command
	cmd = command("get DB REF", "Write a blob, or a part of it, to a file or to standard output", `
syncbase blob get notes REF --out holiday.mp4
syncbase blob get notes REF --offset 1000000 --length 4096 | xxd`, cobra.ExactArgs(2),
		func(ctx context.Context, args []string) error {
			toScreen := out == "" || out == "-"
			switch {
			case toScreen && a.json():
				return usagef("the bytes of a blob are no JSON: name a file for them with --out, or ask with 'blob stat' what is known of it")
			case opts.Length == 0 && cmd.Flags().Changed("length"):
				return usagef("--length 0 asks for nothing; leave it out for everything up to the end")
			}
			return a.connect(ctx, func(c *client.Client) error {
				if toScreen {
					return a.blobPrint(ctx, c.Database(args[0]), args[1], opts)
				}
				return a.blobGet(ctx, c.Database(args[0]), args[1], out, opts)
			})
		})
	cmd.Long = "Write a blob, or a part of it, to a file or to standard output. What is not here is fetched from peers. The file appears when it is complete."
	cmd.Flags().StringVar(&out, "out", "", "file to write")
	cmd.Flags().Uint64Var(&opts.Offset, "offset", 0, "first byte")
	cmd.Flags().Uint64Var(&opts.Length, "length", 0, "number of bytes (default up to the end)")
	return cmd
}

// blobPrint writes to standard output.
func (a *app) blobPrint(ctx context.Context, db *client.Database, ref string, opts client.GetBlobOptions) error {
	counted := &counter{w: a.out}
	err := db.GetBlob(ctx, ref, counted, opts)
	return advise(ctx, err, "go on with --offset %d", opts.Offset+uint64(counted.n))
}

// blobGet writes to a file beside the one that is wanted, and renames it in the end.
func (a *app) blobGet(ctx context.Context, db *client.Database, ref, out string, opts client.GetBlobOptions) (err error) {
	f, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	bar := a.progress("get", 0)
	defer bar.end()
	opts.Started = func(size uint64) {
		rest := size - min(opts.Offset, size)
		if opts.Length > 0 {
			rest = min(rest, opts.Length)
		}
		bar.total(int64(rest))
	}
	counted := &counter{w: bar.writing(f)}
	if err := db.GetBlob(ctx, ref, counted, opts); err != nil {
		return advise(ctx, err, "%s was not written; get it again, and what has come from peers so far is here", out)
	}
	bar.end()
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), out); err != nil {
		return err
	}
	return a.say(map[string]any{"ref": ref, "bytes": counted.n, "file": out}, "%d bytes to %s", counted.n, out)
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (a *app) blobFetchCommand() *cobra.Command {
	var priority int32
	cmd := command("fetch DB REF", "Bring a blob to this device and report how far it is", "syncbase blob fetch notes REF --priority 5",
		cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
			return a.connect(ctx, func(c *client.Client) error { return a.blobFetch(ctx, c.Database(args[0]), args[1], priority) })
		})
	cmd.Flags().Int32Var(&priority, "priority", 0, "what has a higher one goes first")
	return cmd
}

func (a *app) blobFetch(ctx context.Context, db *client.Database, ref string, priority int32) error {
	bar := a.progress("fetch", 0)
	defer bar.end()
	enc := encoder(a.out)
	last := ""
	for p, err := range db.FetchBlob(ctx, ref, priority) {
		if err != nil {
			return err
		}
		switch {
		case a.json():
			if err := enc.Encode(p); err != nil {
				return err
			}
		case bar.bar != nil:
			bar.total(int64(p.Total))
			bar.at(int64(p.Received))
		case p.State != last:
			fmt.Fprintf(a.out, "%s %d/%d %s\n", p.State, p.Received, p.Total, p.Source)
			last = p.State
		}
	}
	return nil
}

// blobObject is a blob as scripts see it.
type blobObject struct {
	Ref       string         `json:"ref"`
	Size      uint64         `json:"size"`
	State     string         `json:"state"`
	Pinned    bool           `json:"pinned"`
	Rank      uint32         `json:"rank"`
	Shares    map[string]int `json:"shares"`
	Locations []string       `json:"locations"`
}

func blobOf(b client.Blob) blobObject {
	return blobObject{
		Ref: b.Ref, Size: b.Size, State: b.State, Pinned: b.Pinned, Rank: b.Rank,
		Shares: map[string]int{}, Locations: append([]string{}, b.Locations...),
	}
}

func (a *app) blobStat(ctx context.Context, args []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		b, err := c.Database(args[0]).StatBlob(ctx, args[1])
		if err != nil {
			return err
		}
		return a.say(blobOf(b), "ref        %s\nsize       %d\nstate      %s\npinned     %s\nlocations  %s",
			b.Ref, b.Size, b.State, yesNo(b.Pinned), dash(strings.Join(b.Locations, ", ")))
	})
}

func (a *app) blobList(ctx context.Context, args []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		t := a.table("REF", "SIZE", "STATE", "LOCATIONS")
		for b, err := range c.Database(args[0]).Blobs(ctx) {
			if err != nil {
				return err
			}
			if err := t.row(blobOf(b), b.Ref, b.Size, b.State, dash(strings.Join(b.Locations, ", "))); err != nil {
				return err
			}
		}
		return t.end()
	})
}
