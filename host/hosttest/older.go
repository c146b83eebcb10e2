package hosttest

import (
	"context"

	"github.com/syncbase/syncbase/host/internal/delta"
)

// features are what the host says in Hello; nil stands for those of the present version.
func (h *Host) features() []string {
	switch {
	case h.c.opts.Older(h.name):
		return []string{}
	case h.c.opts.Miscounting(h.name):
		return []string{"compare", "refusals", "callback", "holdback"}
	}
	return nil
}

// withoutNews takes out of a pull whatever one of both would not know of, as a daemon of the first version leaves it out, and
// overlooks it: witnesses, scopes within scopes, inventories, and what is left.
func withoutNews(open *delta.Open) Answer {
	open.Witnesses, open.Holding, open.Forgotten = nil, nil, false
	return func(_ context.Context, m delta.Message, send func(delta.Message) error) error {
		m.Inside, m.Witnesses, m.Left = nil, nil, 0
		if m.Accepted == nil && m.Commits == nil && m.Progress == nil && m.Inventory == nil {
			return nil
		}
		return send(m)
	}
}

// outdate makes pulls from or by older hosts such as they were, and shows the others to the tap.
func outdate(older func(string) bool, tap Tap) Tap {
	return func(from, to string, open *delta.Open) Answer {
		var news Answer
		if older(from) || older(to) {
			news = withoutNews(open)
		}
		if tap == nil {
			return news
		}
		then := tap(from, to, open)
		switch {
		case news == nil:
			return then
		case then == nil:
			return news
		}
		return func(ctx context.Context, m delta.Message, send func(delta.Message) error) error {
			return news(ctx, m, func(m delta.Message) error { return then(ctx, m, send) })
		}
	}
}
