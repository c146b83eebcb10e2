package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/syncbase/syncbase/sdk/client"
)

// encoder writes one JSON object a line and leaves <, > and & as they are.
func encoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

// show prints an object for scripts, or what text writes for people.
func (a *app) show(object any, text func(w io.Writer)) error {
	if a.json() {
		return encoder(a.out).Encode(object)
	}
	text(a.out)
	return nil
}

// say is show for a line of text.
func (a *app) say(object any, format string, args ...any) error {
	return a.show(object, func(w io.Writer) { fmt.Fprintf(w, format+"\n", args...) })
}

// table prints items: one object a line for scripts, aligned columns for people.
type table struct {
	app   *app
	json  *json.Encoder
	tabs  *tabwriter.Writer
	lines *bufio.Writer
	// narrow clips cells, but for the last of a row, so that one long name does not push everything else aside.
	narrow bool
}

// narrowCell is how many characters of a cell a narrow table shows.
const narrowCell = 40

func (a *app) table(columns ...string) *table {
	t := &table{app: a, lines: bufio.NewWriterSize(a.out, 64<<10)}
	if a.json() {
		t.json = encoder(t.lines)
		return t
	}
	t.tabs = tabwriter.NewWriter(t.lines, 0, 4, 2, ' ', 0)
	if len(columns) > 0 {
		fmt.Fprintln(t.tabs, strings.Join(columns, "\t"))
	}
	return t
}

func (t *table) row(object any, cells ...any) error {
	if t.json != nil {
		return t.json.Encode(object)
	}
	for i, cell := range cells {
		if i > 0 {
			fmt.Fprint(t.tabs, "\t")
		}
		if text, is := cell.(string); is {
			if text = harmless(text); t.narrow && i < len(cells)-1 {
				text = clip(text, narrowCell)
			}
			cell = text
		}
		fmt.Fprint(t.tabs, cell)
	}
	_, err := fmt.Fprintln(t.tabs)
	return err
}

// harmless is text without what would command a terminal, or end a cell: it may come from a plugin, a peer, or who writes rows.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, text)
}

// oneLineText is harmless text with single spaces.
func oneLineText(text string) string { return strings.Join(strings.Fields(harmless(text)), " ") }

// end writes out what is buffered.
func (t *table) end() error {
	if t.tabs != nil {
		if err := t.tabs.Flush(); err != nil {
			return err
		}
	}
	return t.lines.Flush()
}

// dash stands for what is empty.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// count is a number of things in words: 1 row, 2 rows.
func count[N int | uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// ago tells a person when something was.
func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format(time.DateTime)
}

// value is a row's value as scripts see it: JSON as it is, bytes as base64.
type value struct {
	Value json.RawMessage `json:"value,omitempty"`
	// Base64 is nil for what is not bytes; no bytes are bytes, too.
	Base64 *[]byte `json:"base64,omitempty"`
	Type   string  `json:"type,omitempty"`
}

func valueOf(v client.Value) value {
	if v.Raw {
		data := append([]byte{}, v.Bytes...)
		return value{Base64: &data, Type: v.Type}
	}
	return value{Value: v.Bytes, Type: v.Type}
}

// rowObject is a row as scripts see it.
type rowObject struct {
	Key string `json:"key"`
	value
	Version string    `json:"version"`
	Updated time.Time `json:"updated"`
}

func rowOf(r client.Row) rowObject {
	return rowObject{Key: r.Key, value: valueOf(r.Value), Version: r.Version, Updated: r.Updated}
}

// line returns the value of a row on one line; bytes are quoted, since they may hold what commands a terminal.
func line(v client.Value) []byte {
	if v.Raw {
		return strconv.AppendQuote(nil, string(v.Bytes))
	}
	if !bytes.ContainsAny(v.Bytes, "\n\r") {
		return v.Bytes
	}
	var b bytes.Buffer
	if json.Compact(&b, v.Bytes) != nil {
		return v.Bytes
	}
	return b.Bytes()
}

// namer shortens names of the caller's own, which read back the same.
type namer struct{ owner string }

// namer asks the daemon whose it is. Who may not ask sees full names.
func (a *app) namer(ctx context.Context, c *client.Client) namer {
	identity, err := c.Identity(ctx)
	if err != nil {
		return namer{}
	}
	return namer{owner: identity.Owner}
}

func (n namer) short(name string) string {
	local, own := strings.CutPrefix(name, n.owner+":")
	if n.owner == "" || !own || strings.Contains(local, ":") {
		return name
	}
	return local
}

// full is the name with its owner, as far as that is known.
func (n namer) full(name string) string {
	switch {
	case n.owner == "":
		return name
	case strings.HasPrefix(name, ":"):
		return n.owner + name
	case strings.Contains(name, ":"):
		return strings.TrimPrefix(name, "spiffe://")
	}
	return n.owner + ":" + name
}

// lines buffers what is printed; joinFlush or Flush ends it.
func (a *app) lines() *bufio.Writer { return bufio.NewWriterSize(a.out, 64<<10) }

// joinFlush writes out what came before an error.
func joinFlush(err error, lines *bufio.Writer) error {
	if flushErr := lines.Flush(); flushErr != nil {
		return flushErr
	}
	return err
}
