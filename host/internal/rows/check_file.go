package rows

import (
	"context"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// RuleFile: every file of the store is there and is what was written.
const RuleFile Rule = "file"

// Progress is told how far a check is, often. Its functions may be nil.
type Progress struct {
	// Files is told how many files have been read.
	Files func(done, of int)
	// Keys is told how many keys have been looked at after that.
	Keys func(n int)
}

// CheckFiles reads every file of a store that may be in use. It reports what cannot be read, and returns the rest.
func CheckFiles(ctx context.Context, store *kv.Store, from kv.Reader, report func(Finding), how Progress) (rest kv.Reader, found int, err error) {
	losses, err := store.Losses(ctx, how.Files)
	if err != nil || len(losses) == 0 {
		return from, 0, err
	}
	rest = kv.Around(from, losses)
	atlas, err := NewAtlas(rest)
	for _, l := range losses {
		report(atlas.Finding(l))
	}
	return rest, len(losses), err
}

// Finding puts a loss into words.
func (a *Atlas) Finding(l kv.Loss) Finding {
	text := fmt.Sprintf("%s: %s", l.File, l.Cause)
	switch {
	case l.Writes > 0:
		text += fmt.Sprintf("; %d writes at most are lost", l.Writes)
	case l.Writes < 0:
		text += "; how many writes are lost cannot be told"
	}
	if l.UpTo != nil {
		text += ", of " + a.Range(l.After, l.UpTo)
	}
	return Finding{Rule: RuleFile, Key: l.UpTo, Text: text, Remedy: "save what can be read", Loses: true}
}
