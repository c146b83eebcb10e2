package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/internal/strictjson"
	"github.com/syncbase/syncbase/sdk/client"
)

// maxLineBytes bounds one line of input: the largest value, as base64, with room for key and names.
const maxLineBytes = 16 << 20

func (a *app) batchCommand() *cobra.Command {
	var file string
	cmd := command("batch DB", "Apply operations together: all or nothing", `
syncbase batch notes --file changes.jsonl
echo '{"op":"put","collection":"todo","key":"milk","value":{"done":true}}' | syncbase batch notes`,
		cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
			in, closeInput, err := a.open(ctx, file)
			if err != nil {
				return err
			}
			defer closeInput()
			return a.connect(ctx, func(c *client.Client) error { return a.batch(ctx, c.Database(args[0]), in) })
		})
	cmd.Long = `Apply operations together: all or nothing. The input has one JSON object a line:

  {"op":"put","collection":C,"key":K,"value":V}       V is JSON; or "base64" for bytes; "type" names a type
  {"op":"delete","collection":C,"key":K}
  {"op":"check","collection":C,"key":K,"value":V}     or "base64", with "type" or without;
                                                      or "version", or "absent":true

A check that does not hold makes the batch fail; the exit code is then 4.`
	cmd.Flags().StringVarP(&file, "file", "f", "-", "JSON lines; - is standard input")
	return cmd
}

// open opens a file to read, or standard input for "-".
func (a *app) open(ctx context.Context, file string) (io.Reader, func() error, error) {
	if file == "-" {
		return interruptible(ctx, a.in), func() error { return nil }, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	return interruptible(ctx, f), f.Close, nil
}

// operation is one line of a batch.
type operation struct {
	Op         string          `json:"op"`
	Collection string          `json:"collection"`
	Key        string          `json:"key"`
	Value      json.RawMessage `json:"value"`
	Base64     []byte          `json:"base64"`
	Type       *string         `json:"type"`
	Version    *string         `json:"version"`
	Absent     *bool           `json:"absent"`
}

func (a *app) batch(ctx context.Context, db *client.Database, in io.Reader) error {
	var ops []client.Op
	var at []int // the line of each
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLineBytes)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		op, err := parseOperation(db, lines.Bytes())
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		ops, at = append(ops, op), append(at, n)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the batch: %w", err)
	}
	if len(ops) == 0 {
		return errors.New("the batch has no operations; it takes one JSON object a line")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	sent, giveUp := outlasting(ctx)
	defer giveUp()
	versions, err := db.Commit(sent, ops...)
	if err != nil && ctx.Err() != nil && !answered(err) {
		return fmt.Errorf("%w; nobody has said whether the batch was applied", errInterrupted)
	}
	if err != nil {
		return atLine(at, err)
	}
	return a.say(map[string][]string{"versions": versions}, "applied %s", count(len(ops), "operation"))
}

// atLine says in place of the operation that was refused the line on which it stands. The error keeps its kind.
func atLine(lines []int, err error) error {
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Operation < 1 || refused.Operation > len(lines) {
		return err
	}
	placed := *refused
	placed.Message = fmt.Sprintf("line %d: %s", lines[refused.Operation-1], strings.TrimPrefix(refused.Message, fmt.Sprintf("operation %d: ", refused.Operation)))
	return &placed
}

func parseOperation(db *client.Database, line []byte) (client.Op, error) {
	var o operation
	if err := strictjson.Decode(line, &o); err != nil {
		return client.Op{}, err
	}
	if err := o.validate(); err != nil {
		return client.Op{}, err
	}
	return o.make(db.Collection(o.Collection))
}

// validate refuses what says too little or too much.
func (o *operation) validate() error {
	if o.Op != "put" && o.Op != "delete" && o.Op != "check" {
		return fmt.Errorf(`"op" is %q, want put, delete or check`, o.Op)
	}
	if err := checkName(`"collection"`, o.Collection); err != nil {
		return err
	}
	if err := checkText(`"key"`, o.Key); err != nil {
		return err
	}
	values := given(o.Value != nil, o.Base64 != nil)
	states := given(o.Version != nil, o.Absent != nil)
	switch {
	case values > 1:
		return fmt.Errorf(`%s of %q: "value" and "base64" cannot go together`, o.Op, o.Key)
	case o.Op != "check" && states > 0:
		return fmt.Errorf(`%s of %q: "version" and "absent" are for checks`, o.Op, o.Key)
	case o.Op == "put" && values == 0:
		return fmt.Errorf(`put of %q: no "value", and no "base64"`, o.Key)
	case o.Op == "delete" && (values > 0 || o.Type != nil):
		return fmt.Errorf(`delete of %q: takes no value and no type`, o.Key)
	case o.Op == "check" && values+states != 1:
		return fmt.Errorf(`check of %q: has %d of "value", "base64", "version" and "absent", want one of them`, o.Key, values+states)
	case o.Op == "check":
		return o.validateCheck()
	}
	return nil
}

// validateCheck refuses what a check of one kind does not compare.
func (o *operation) validateCheck() error {
	switch {
	case o.Version != nil && *o.Version == "":
		return fmt.Errorf(`check of %q: "version" is empty; "absent":true is for a row that is not there`, o.Key)
	case o.Absent != nil && !*o.Absent:
		return fmt.Errorf(`check of %q: "absent" is false; it can only be true`, o.Key)
	case o.Type != nil && given(o.Version != nil, o.Absent != nil) > 0:
		return fmt.Errorf(`check of %q: "type" goes with "value" or "base64"`, o.Key)
	case o.Type != nil && *o.Type == "":
		return fmt.Errorf(`check of %q: "type" is empty; leave it out for any type`, o.Key)
	}
	return nil
}

// given counts what is there.
func given(parts ...bool) (n int) {
	for _, there := range parts {
		if there {
			n++
		}
	}
	return n
}

// make makes an operation that is valid.
func (o *operation) make(c *client.Collection) (client.Op, error) {
	v := client.Value{Bytes: o.Value}
	if o.Base64 != nil {
		v = client.Value{Bytes: o.Base64, Raw: true}
	}
	if o.Type != nil {
		v.Type = *o.Type
	}
	switch o.Op {
	case "put":
		return c.PutOp(o.Key, v)
	case "delete":
		return c.DeleteOp(o.Key), nil
	}
	switch {
	case o.Absent != nil:
		return c.CheckAbsentOp(o.Key), nil
	case o.Version != nil:
		return c.CheckVersionOp(o.Key, *o.Version), nil
	}
	return c.CheckValueOp(o.Key, v)
}
