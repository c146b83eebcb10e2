package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

// maxValueBytes is a little more than the daemon takes, so that its message is the one that people see.
const maxValueBytes = 5 << 20

// argument reads a value from the command line: "-" is standard input, "@file" a file.
func (a *app) argument(ctx context.Context, text string) ([]byte, error) {
	if text == "-" {
		return readAll(interruptible(ctx, a.in))
	}
	path, isFile := strings.CutPrefix(text, "@")
	if !isFile {
		return []byte(text), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}

// fileOrInput reads a file, or standard input for "-".
func (a *app) fileOrInput(ctx context.Context, file string) ([]byte, error) {
	if file == "-" {
		return a.argument(ctx, file)
	}
	return a.argument(ctx, "@"+file)
}

// fileInputOrJSON reads what flags that name a file take: FILE, @FILE, - for standard input, or the JSON object itself.
func (a *app) fileInputOrJSON(ctx context.Context, text string) ([]byte, error) {
	if strings.HasPrefix(text, "@") || strings.HasPrefix(strings.TrimSpace(text), "{") {
		return a.argument(ctx, text)
	}
	return a.fileOrInput(ctx, text)
}

// inputName is what messages call what fileInputOrJSON reads.
func inputName(text string) string {
	switch {
	case text == "-":
		return "standard input"
	case strings.HasPrefix(strings.TrimSpace(text), "{"):
		return "the object"
	}
	return strings.TrimPrefix(text, "@")
}

func readAll(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, maxValueBytes)) }

func (a *app) putCommand() *cobra.Command {
	var raw bool
	var typeName string
	cmd := command("put DB COLLECTION KEY VALUE", "Write a row", `
syncbase put notes todo milk '{"done": false}'
syncbase put notes todo photo @photo.json
echo 42 | syncbase put notes todo answer -
syncbase put notes todo below -- -5`, cobra.ExactArgs(4), func(ctx context.Context, args []string) error {
		if err := checkType(typeName); err != nil {
			return err
		}
		data, err := a.argument(ctx, args[3])
		if err != nil {
			return err
		}
		if !raw {
			data = bytes.TrimSpace(data)
		}
		return a.connect(ctx, func(c *client.Client) error {
			v := client.Value{Bytes: data, Raw: raw, Type: typeName}
			version, err := c.Database(args[0]).Collection(args[1]).Put(ctx, args[2], v)
			if err != nil {
				return err
			}
			return a.say(map[string]string{"version": version}, "%s", version)
		})
	})
	cmd.Long = "Write a row. VALUE is JSON; - reads standard input, @file a file. A reference to a blob is {\"$blob\": \"REF\"}, anywhere in the value."
	cmd.Flags().BoolVar(&raw, "raw", false, "store the bytes as they are; they need not be JSON")
	cmd.Flags().StringVar(&typeName, "type", "", "record a type name with the value")
	return cmd
}

func (a *app) getCommand() *cobra.Command {
	return command("get DB COLLECTION KEY", "Read a row; exits with 3 if there is none", "syncbase get notes todo milk",
		cobra.ExactArgs(3), func(ctx context.Context, args []string) error {
			return a.connect(ctx, func(c *client.Client) error {
				row, err := c.Database(args[0]).Collection(args[1]).Get(ctx, args[2])
				if err != nil {
					return err
				}
				return a.show(rowOf(row), func(w io.Writer) {
					_, _ = w.Write(row.Value.Bytes)
					if !row.Value.Raw {
						fmt.Fprintln(w)
					}
				})
			})
		})
}

func (a *app) deleteCommand() *cobra.Command {
	return command("delete DB COLLECTION KEY", "Delete a row, if it is there", "syncbase delete notes todo milk",
		cobra.ExactArgs(3), func(ctx context.Context, args []string) error {
			return a.connect(ctx, func(c *client.Client) error {
				version, err := c.Database(args[0]).Collection(args[1]).Delete(ctx, args[2])
				if err != nil {
					return err
				}
				text := version
				if text == "" {
					text = "there was no such row"
				}
				return a.say(map[string]string{"version": version}, "%s", text)
			})
		})
}

func (a *app) scanCommand() *cobra.Command {
	var r client.Range
	cmd := command("scan DB COLLECTION", "List rows in the order of their keys", `
syncbase scan notes todo --prefix shopping/
syncbase scan notes todo --start a --limit n --max 100 -o json
syncbase scan notes todo --reverse --max 1`, cobra.ExactArgs(2),
		func(ctx context.Context, args []string) error {
			if err := checkRange(r); err != nil {
				return err
			}
			return a.connect(ctx, func(c *client.Client) error { return a.scan(ctx, c.Database(args[0]).Collection(args[1]), r) })
		})
	cmd.Flags().StringVar(&r.Prefix, "prefix", "", "only keys that begin with this")
	cmd.Flags().StringVar(&r.Start, "start", "", "first key")
	cmd.Flags().StringVar(&r.Limit, "limit", "", "the key before which to end")
	cmd.Flags().Uint64Var(&r.Max, "max", 0, "at most so many rows (0 for all)")
	cmd.Flags().BoolVar(&r.KeysOnly, "keys-only", false, "no values")
	cmd.Flags().BoolVar(&r.Reverse, "reverse", false, "from the end of the range to its beginning")
	return cmd
}

func (a *app) scan(ctx context.Context, c *client.Collection, r client.Range) error {
	lines := a.lines()
	enc := encoder(lines)
	for row, err := range c.Scan(ctx, r) {
		switch {
		case err != nil:
		case a.json():
			if r.KeysOnly {
				row.Value = client.Value{}
			}
			err = enc.Encode(rowOf(row))
		case r.KeysOnly:
			_, err = fmt.Fprintln(lines, row.Key)
		default:
			_, err = fmt.Fprintf(lines, "%s\t%s\n", row.Key, line(row.Value))
		}
		if err != nil {
			return joinFlush(err, lines)
		}
	}
	return lines.Flush()
}

func (a *app) deleteRangeCommand() *cobra.Command {
	var r client.Range
	var all bool
	cmd := command("delete-range DB COLLECTION --start S --limit L", "Delete the rows with S <= key < L, or with a prefix", `
syncbase delete-range notes todo --start 2019/ --limit 2020/
syncbase delete-range notes todo --prefix shopping/
syncbase delete-range notes todo --all`, cobra.ExactArgs(2),
		func(ctx context.Context, args []string) error {
			bounded := r != client.Range{}
			switch {
			case !bounded && !all:
				return usagef("say where to begin with --start, where to end with --limit, or which keys with --prefix; empty ones would be every row, which takes --all")
			case bounded && all:
				return usagef("--all cannot go together with --prefix, --start or --limit")
			}
			if err := checkRange(r); err != nil {
				return err
			}
			return a.connect(ctx, func(c *client.Client) error {
				deleted, err := c.Database(args[0]).Collection(args[1]).DeleteRange(ctx, r)
				if err != nil {
					return advise(ctx, err, "some rows may be deleted; run it again for the rest")
				}
				return a.say(map[string]uint64{"deleted": deleted}, "deleted %s", count(deleted, "row"))
			})
		})
	cmd.Long = cmd.Short + `.

They are deleted in batches of 10,000. When it fails or is interrupted, some rows may be deleted; run it again for the rest.`
	cmd.Flags().StringVar(&r.Prefix, "prefix", "", "the keys that begin with this")
	cmd.Flags().StringVar(&r.Start, "start", "", "first key")
	cmd.Flags().StringVar(&r.Limit, "limit", "", "the key before which to end")
	cmd.Flags().BoolVar(&all, "all", false, "every row")
	return cmd
}
