package rows

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// A history of operations on linearKeys rows, by several goroutines at once, is checked against a map: some order of them
// that keeps to real time must explain every result.

const linearKeys = 3

type linearKind int

const (
	linearGet linearKind = iota
	// linearPut writes the rows of the mask, blindly.
	linearPut
	// linearAdd reads the rows of the mask in a batch and writes them back with the value behind what they had.
	linearAdd
	// linearScan reads all rows in one batch.
	linearScan
)

type linearInput struct {
	kind linearKind
	mask int
	// value is what is written, or added behind what was read.
	value string
}

// linearState is what the rows have; a row that is not there is empty.
type linearState [linearKeys]string

// linearOutput is what the operation read. A batch that lost to another must have changed nothing.
type linearOutput struct {
	read     linearState
	conflict bool
}

func linearKey(k int) string { return fmt.Sprint("key", k) }

func (in linearInput) has(k int) bool { return in.mask&(1<<k) != 0 }

var linearModel = porcupine.Model{
	Init: func() any { return linearState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(linearState), input.(linearInput), output.(linearOutput)
		if out.conflict {
			return in.kind == linearAdd, s
		}
		next := s
		for k := range linearKeys {
			switch {
			case !in.has(k):
			case in.kind == linearPut:
				next[k] = in.value
			case out.read[k] != s[k]:
				return false, s
			case in.kind == linearAdd:
				next[k] = s[k] + in.value
			}
		}
		return true, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v gives %+v", input, output) },
}

// linearRun has the goroutines work on the rows of a new device and returns what they did.
func linearRun(t *testing.T, seed uint64, goroutines, each int) []porcupine.Operation {
	t.Helper()
	d := newDevice(t, 1).create()
	histories := make([][]porcupine.Operation, goroutines)
	start := time.Now()
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(g)))
			for i := range each {
				in := linearInput{kind: linearKind(random.IntN(4)), mask: 1 + random.IntN(1<<linearKeys-1), value: fmt.Sprintf("%d.%d ", g, i)}
				switch in.kind {
				case linearGet:
					in.mask = 1 << random.IntN(linearKeys)
				case linearScan:
					in.mask = 1<<linearKeys - 1
				}
				call := time.Since(start)
				out, err := d.linearDo(in)
				if err != nil {
					t.Error(err)
					return
				}
				histories[g] = append(histories[g], porcupine.Operation{
					ClientId: g, Input: in, Call: int64(call), Output: out, Return: int64(time.Since(start)),
				})
			}
		})
	}
	all.Wait()
	var history []porcupine.Operation
	for _, h := range histories {
		history = append(history, h...)
	}
	return history
}

func (d *device) linearDo(in linearInput) (out linearOutput, err error) {
	switch in.kind {
	case linearPut:
		_, err = d.db.Commit(in.ops(linearState{}), nil)
		return out, err
	case linearGet:
		for k := range linearKeys {
			if in.has(k) {
				out.read[k], err = linearValue(d.db.Get(notes, linearKey(k)))
			}
		}
		return out, err
	}
	tx, err := d.db.Begin(in.kind == linearScan)
	if err != nil {
		return out, err
	}
	defer tx.Abort()
	if in.kind == linearScan {
		err = tx.Scan(notes, ScanRange{}, func(r *RowView) (bool, error) {
			out.read[r.Key[len(r.Key)-1]-'0'] = string(r.Value)
			return true, nil
		})
		return out, err
	}
	for k := range linearKeys {
		if !in.has(k) {
			continue
		}
		if out.read[k], err = linearValue(tx.Get(notes, linearKey(k))); err != nil {
			return out, err
		}
		runtime.Gosched() // so that others come between, also on one processor
	}
	if err := tx.Write(in.ops(out.read)...); err != nil {
		return out, err
	}
	if _, err = tx.Commit(nil); errors.Is(err, ErrConflict) {
		return linearOutput{conflict: true}, nil
	}
	return out, err
}

// ops are the writes of an operation that read that.
func (in linearInput) ops(read linearState) (ops []Op) {
	for k := range linearKeys {
		if in.has(k) {
			ops = append(ops, Op{Collection: notes, Key: linearKey(k), Value: []byte(read[k] + in.value), Raw: true})
		}
	}
	return ops
}

func linearValue(r Row, err error) (string, error) {
	if errors.Is(err, ErrNoRow) {
		return "", nil
	}
	return string(r.Value), err
}

func linearCheck(history []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(linearModel, history, 5*time.Second)
}

// reference: store-080 whatever batches and single operations run at once, some order of them explains all that they saw.
func TestBatchesAreLinearizable(t *testing.T) {
	conflicts := 0
	for round := range 6 {
		seed := rand.Uint64()
		goroutines := 4 + round%5
		t.Run(fmt.Sprintf("%d goroutines", goroutines), func(t *testing.T) {
			t.Logf("seed %d", seed)
			history := linearRun(t, seed, goroutines, 400/goroutines)
			for _, op := range history {
				if op.Output.(linearOutput).conflict {
					conflicts++
				}
			}
			if got := linearCheck(history); got != porcupine.Ok {
				t.Errorf("the history of seed %d is %s, want %s", seed, got, porcupine.Ok)
			}
		})
	}
	if conflicts == 0 {
		t.Error("no two operations were in each other's way, so nothing was tested")
	}
	t.Logf("%d conflicts", conflicts)
}

// The check of linearizability finds a lost update, and a read that comes too late.
func TestLinearizabilityCanFail(t *testing.T) {
	op := func(call, end int64, in linearInput, out linearOutput) porcupine.Operation {
		return porcupine.Operation{ClientId: int(call), Input: in, Call: call, Output: out, Return: end}
	}
	add := func(value string) linearInput { return linearInput{linearAdd, 1, value} }
	get := linearInput{linearGet, 1, ""}
	read := func(value string) linearOutput { return linearOutput{read: linearState{value}} }
	for name, c := range map[string]struct {
		history []porcupine.Operation
		want    porcupine.CheckResult
	}{
		"one after the other": {[]porcupine.Operation{op(1, 4, add("a"), read("")), op(2, 5, add("b"), read("a")), op(6, 7, get, read("ab"))}, porcupine.Ok},
		"lost update":         {[]porcupine.Operation{op(1, 4, add("a"), read("")), op(2, 5, add("b"), read(""))}, porcupine.Illegal},
		"stale read":          {[]porcupine.Operation{op(1, 2, add("a"), read("")), op(3, 4, get, read(""))}, porcupine.Illegal},
		"conflict that wrote": {[]porcupine.Operation{op(1, 2, add("a"), linearOutput{conflict: true}), op(3, 4, get, read("a"))}, porcupine.Illegal},
	} {
		t.Run(name, func(t *testing.T) {
			if got := linearCheck(c.history); got != c.want {
				t.Errorf("the history is %s, want %s", got, c.want)
			}
		})
	}
	t.Run("a real history with one result changed", func(t *testing.T) {
		history := linearRun(t, 1, 4, 40)
		for i, o := range history {
			if out := o.Output.(linearOutput); o.Input.(linearInput).kind == linearScan && out.read[0] != "" {
				out.read[0] += "never written"
				history[i].Output = out
				break
			}
		}
		if got := linearCheck(history); got != porcupine.Illegal {
			t.Errorf("the history is %s, want %s", got, porcupine.Illegal)
		}
	})
}
