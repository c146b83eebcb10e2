package main

import (
	"context"
	"encoding/base64"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

func (a *app) exportCommand() *cobra.Command {
	var after string
	cmd := command("export DB COLLECTION", "Print all rows as JSON lines, in the order of their keys", `
syncbase export notes todo > todo.jsonl
syncbase export notes todo | gzip > todo.jsonl.gz`, cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
		return a.connect(ctx, func(c *client.Client) error {
			return a.export(ctx, c.Database(args[0]).Collection(args[1]), after)
		})
	})
	cmd.Long = `Print all rows as JSON lines, in the order of their keys, from one snapshot: {"key": K, "value": V} with the value byte
for byte as it is stored (but on one line), or {"key": K, "base64": B} where it is bytes. The same rows give the same
bytes, and import reads them back.

When it is cut short, export says with which key; --after KEY goes on after it, from a snapshot of that later moment.`
	cmd.Flags().StringVar(&after, "after", "", "go on after this key")
	return cmd
}

func (a *app) export(ctx context.Context, c *client.Collection, after string) error {
	lines := a.lines()
	var whole client.Range
	if after != "" {
		whole.Start = after + "\x00"
	}
	var buf []byte
	rows := 0
	for row, err := range c.Scan(ctx, whole) {
		if err == nil {
			buf = appendRow(buf[:0], row)
			_, err = lines.Write(buf)
		}
		if err != nil && rows > 0 {
			err = advise(ctx, err, "%s were printed, go on with --after %s", count(rows, "row"), quote(after))
		}
		if err != nil {
			return joinFlush(err, lines)
		}
		rows, after = rows+1, row.Key
	}
	return lines.Flush()
}

// appendRow writes a row as a line that import reads.
func appendRow(dst []byte, row client.Row) []byte {
	dst = append(append(dst, `{"key":`...), quote(row.Key)...)
	if row.Value.Raw {
		dst = base64.StdEncoding.AppendEncode(append(dst, `,"base64":"`...), row.Value.Bytes)
		dst = append(dst, '"')
	} else {
		dst = append(append(dst, `,"value":`...), line(row.Value)...)
	}
	if row.Value.Type != "" {
		dst = append(append(dst, `,"type":`...), quote(row.Value.Type)...)
	}
	return append(dst, '}', '\n')
}
