package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/internal/strictjson"
	"github.com/syncbase/syncbase/sdk/client"
)

func (a *app) syncgroupSpecCommand() *cobra.Command {
	var file, version string
	var cmd *cobra.Command
	cmd = command("spec DB SG", "Show or change the specification of a syncgroup", `
syncbase syncgroup spec notes family
syncbase syncgroup spec notes family -o json
syncbase syncgroup spec notes family --set changed.json --version 3775143cc6015c26.1-2`, cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
		if file == "" && version != "" {
			return usagef("--version says what --set replaces; give both")
		}
		if cmd.Flags().Changed("version") && version == "" {
			return usagef(emptyVersion)
		}
		return a.connect(ctx, func(c *client.Client) error {
			sg := c.Database(args[0]).Syncgroup(args[1])
			if file == "" {
				return a.showSpec(ctx, sg)
			}
			return a.setSpec(ctx, sg, a.namer(ctx, c), file, version)
		})
	})
	cmd.Long = `Show or change the specification of a syncgroup.

The file of --set is a JSON object with the fields to replace: description, permissions, publish, private; what it leaves out
stays. It may be what this command shows, changed, in both forms of output, or what 'syncgroup create --spec' took; the collections
of a syncgroup never change. With --version, the change fails with exit code 4 unless that is still the version that is shown.`
	cmd.Flags().StringVar(&file, "set", "", "file with the fields to replace, - for standard input, or the JSON object itself")
	cmd.Flags().StringVar(&version, "version", "", "version that is to be replaced (default any)")
	return cmd
}

func (a *app) showSpec(ctx context.Context, sg *client.Syncgroup) error {
	spec, version, err := sg.Spec(ctx)
	if err != nil {
		return err
	}
	object := struct {
		Spec    json.RawMessage `json:"spec"`
		Version string          `json:"version"`
	}{spec, version}
	var text bytes.Buffer
	if err := json.Indent(&text, spec, "", "  "); err != nil {
		return fmt.Errorf("specification from the daemon: %w", err)
	}
	return a.say(object, "%s", text.Bytes())
}

func (a *app) setSpec(ctx context.Context, sg *client.Syncgroup, names namer, file, version string) error {
	data, err := a.fileInputOrJSON(ctx, file)
	if err != nil {
		return err
	}
	change, shown, err := readChange(data)
	if err != nil {
		return fmt.Errorf("%s: %w", inputName(file), err)
	}
	if version == "" {
		version = shown
	}
	if change, err = asShown(ctx, sg, names, change); err != nil {
		return err
	}
	made, err := sg.SetSpec(ctx, change, version)
	if err != nil {
		return err
	}
	return a.say(map[string]string{"version": made}, "changed %s, version %s", sg.Name(), made)
}

// readChange reads the fields to replace, or an object as -o json shows it, which brings the version that it changes.
func readChange(data []byte) (change json.RawMessage, version string, err error) {
	var members map[string]json.RawMessage
	if err := strictjson.Decode(data, &members); err != nil {
		return nil, "", err
	}
	if members["spec"] == nil {
		return bytes.TrimSpace(data), "", nil
	}
	var shown struct {
		Spec    json.RawMessage `json:"spec"`
		Version string          `json:"version"`
	}
	err = strictjson.Decode(data, &shown)
	return shown.Spec, shown.Version, err
}

// asShown leaves out the collections of a change that has them in the form that create takes, when they are those of the syncgroup:
// they are given as they are.
func asShown(ctx context.Context, sg *client.Syncgroup, names namer, change json.RawMessage) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	var given []scopeFile
	if json.Unmarshal(change, &members) != nil || strictjson.Decode(members["collections"], &given) != nil || len(given) == 0 {
		return change, nil // in the form that is shown, or the daemon says what is wrong
	}
	current, _, err := sg.Spec(ctx)
	if err != nil {
		return nil, err
	}
	if same, err := sameCollections(current, names, given); err != nil || !same {
		return nil, cmp.Or(err, errors.New("the collections of a syncgroup never change; create another syncgroup"))
	}
	delete(members, "collections")
	return json.Marshal(members)
}

func sameCollections(shown json.RawMessage, names namer, given []scopeFile) (bool, error) {
	var spec struct {
		Collections []struct{ Owner, Name, Prefix string } `json:"collections"`
	}
	if err := json.Unmarshal(shown, &spec); err != nil {
		return false, fmt.Errorf("specification from the daemon: %w", err)
	}
	has, want := map[scopeFile]bool{}, map[scopeFile]bool{}
	for _, c := range spec.Collections {
		has[scopeFile{c.Owner + ":" + c.Name, c.Prefix}] = true
	}
	for _, c := range given {
		want[scopeFile{names.full(c.Collection), c.Prefix}] = true
	}
	return maps.Equal(has, want), nil
}
