package engine

import (
	"context"
	"errors"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// surveyPatience bounds how long a peer may take to say what it holds.
const surveyPatience = 10 * time.Second

// survey asks a peer what it holds after a pull of what it sends was ended by a refusal: a pull says so only after its last commit,
// so what is lacking would be taken for nothing.
func (f *follower) survey(ctx context.Context, refusal error, names []id.Name, scopes []id.Scope) {
	if !errors.Is(refusal, rows.ErrRefused) && !errors.Is(refusal, rows.ErrLettersFull) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, surveyPatience)
	defer cancel()
	if held, err := probe(ctx, f.db, names, scopes, f.open); err == nil {
		f.nothingLeft() // of what it was sending
		f.e.note(f.peer, f.db, held)
	}
}
