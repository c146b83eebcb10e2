package plug

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	hclog "github.com/hashicorp/go-hclog"
)

const (
	linesPerSecond = 500
	linesBurst     = 5000
)

// lineLog writes the lines of a plugin to the host's log: structured ones at their own level, others at debug, a panic at
// error. A plugin that writes without end loses lines instead of filling the disk. Safe for concurrent use.
type lineLog struct {
	log hclog.Logger
	now func() time.Time

	mu      sync.Mutex // guards the fields below
	tokens  float64
	last    time.Time
	dropped int  // since the last line that passed
	muted   bool // until there are tokens for a second's worth of lines
	panics  bool
}

func newLineLog(log hclog.Logger, now func() time.Time) *lineLog {
	return &lineLog{log: log, now: now, tokens: linesBurst, last: now()}
}

func (l *lineLog) line(line []byte) {
	pass, dropped := l.admit()
	if dropped > 0 {
		l.log.Warn("plugin writes too much; lines were dropped", "count", dropped)
	}
	if !pass {
		return
	}
	if entry, ok := parseEntry(line); ok {
		l.log.Log(entry.level, entry.message, entry.pairs...)
		return
	}
	level := hclog.Debug
	if l.panicking(line) {
		level = hclog.Error
	}
	l.log.Log(level, string(line))
}

// admit takes a token. It returns how many lines were dropped since the last one that passed.
func (l *lineLog) admit() (pass bool, dropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.tokens = min(linesBurst, l.tokens+now.Sub(l.last).Seconds()*linesPerSecond)
	l.last = now
	l.muted = l.tokens < 1 || l.muted && l.tokens < linesPerSecond
	if l.muted {
		l.dropped++
		return false, 0
	}
	l.tokens--
	dropped, l.dropped = l.dropped, 0
	return true, dropped
}

// panicking reports whether the line belongs to the last words of a Go program.
func (l *lineLog) panicking(line []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.HasPrefix(line, []byte("panic: ")) || bytes.HasPrefix(line, []byte("fatal error: ")) {
		l.panics = true
	}
	return l.panics
}

// entry is a line of hclog's JSON format.
type entry struct {
	level   hclog.Level
	message string
	pairs   []any
}

func parseEntry(line []byte) (entry, bool) {
	if len(line) == 0 || line[0] != '{' {
		return entry{}, false
	}
	var fields map[string]any
	if err := json.Unmarshal(line, &fields); err != nil {
		return entry{}, false
	}
	message, ok := fields["@message"].(string)
	level, _ := fields["@level"].(string)
	parsed := entry{level: hclog.LevelFromString(level), message: message}
	if !ok || parsed.level == hclog.NoLevel || parsed.level == hclog.Off {
		return entry{}, false
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !strings.HasPrefix(name, "@") {
			parsed.pairs = append(parsed.pairs, name, fields[name])
		}
	}
	return parsed, true
}
