package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

// versionObject is a version of a row as scripts see it.
type versionObject struct {
	Version string    `json:"version"`
	Parents []string  `json:"parents"`
	Device  string    `json:"device"`
	Time    time.Time `json:"time"`
	Deleted bool      `json:"deleted"`
	Batch   string    `json:"batch"`
	value
}

func (a *app) historyCommand() *cobra.Command {
	return command("history DB COLLECTION KEY", "Show the version graph of a row, newest first: * is current, ! in conflict with it", "syncbase history notes todo milk",
		cobra.ExactArgs(3), func(ctx context.Context, args []string) error {
			return a.connect(ctx, func(c *client.Client) error {
				head, versions, err := c.Database(args[0]).Collection(args[1]).History(ctx, args[2])
				if err != nil {
					return err
				}
				return a.history(head, versions)
			})
		})
}

func (a *app) history(head string, versions []client.Version) error {
	object := struct {
		Head     string          `json:"head"`
		Heads    []string        `json:"heads,omitempty"`
		Versions []versionObject `json:"versions"`
	}{Head: head, Versions: []versionObject{}}
	t := a.table("", "VERSION", "TIME", "PARENTS", "VALUE")
	for _, v := range versions {
		o := versionObject{
			Version: v.Version, Parents: append([]string{}, v.Parents...), Device: v.Device, Time: v.Time,
			Deleted: v.Deleted, Batch: v.Batch,
		}
		mark, text := "", "(deleted)"
		if !v.Deleted {
			o.value = valueOf(v.Value)
			text = clip(string(line(v.Value)), 60)
		}
		switch {
		case v.Version == head:
			mark = "*"
		case v.Head:
			mark = "!"
		}
		object.Versions = append(object.Versions, o)
		if !a.json() {
			if err := t.row(nil, mark, v.Version, ago(v.Time), dash(strings.Join(v.Parents, " ")), text); err != nil {
				return err
			}
		}
	}
	if a.json() {
		object.Heads = headsOf(head, versions)
		return encoder(a.out).Encode(object)
	}
	return t.end()
}

// headsOf lists the heads of a row in conflict, the current one first.
func headsOf(head string, versions []client.Version) []string {
	list := []string{head}
	for _, v := range versions {
		if v.Head && v.Version != head {
			list = append(list, v.Version)
		}
	}
	if len(list) < 2 {
		return nil
	}
	return list
}

// clip shortens text for a table.
func clip(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit-1]) + "…"
}
