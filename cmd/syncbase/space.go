package main

import (
	"fmt"

	"github.com/syncbase/syncbase/sdk/client"
)

// spaces says what databases take.
func (a *app) spaces(names namer, list []client.DatabaseSpace) error {
	columns := []string{"DATABASE", "LIVE", "GARBAGE", "ON DISK", "LOG", "HELD BACK BY"}
	return a.section("databases", len(list), columns, func(t *table) error {
		return each(list, t, func(t *table, d client.DatabaseSpace) error {
			return t.row(d, names.short(d.Database), mib(d.LiveBytes), mib(d.GarbageBytes), mib(d.DiskBytes), mib(d.LogBytes), heldBy(names, d.HeldBy))
		})
	})
}

// storeSpace describes what the store takes, in one line.
func storeSpace(s client.StoreSpace) string {
	text := fmt.Sprintf("%s in %d files", mib(s.TableBytes), s.TableFiles)
	if s.FreeBytes != nil {
		text += fmt.Sprintf(", %s free", mib(*s.FreeBytes))
	}
	return text
}

func mib(bytes uint64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

// heldBy names the first of those who hold reclamation back, and how many more there are.
func heldBy(names namer, list []client.Holder) string {
	if len(list) == 0 {
		return dash("")
	}
	h, more := list[0], ""
	if len(list) > 1 {
		more = fmt.Sprintf(", and %d more", len(list)-1)
	}
	switch h.Kind {
	case "reader":
		return "a watch or batch that is behind" + more
	case "self":
		return "this device, in " + names.short(h.Syncgroup) + more
	default:
		return fmt.Sprintf("%s in %s, last heard %s%s", h.Member, names.short(h.Syncgroup), ago(h.Acknowledged), more)
	}
}
