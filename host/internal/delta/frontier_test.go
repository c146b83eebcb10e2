package delta_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// Devices write and pull in any order, and say now and then what they hold. Whatever a frontier covers is really held by
// all of them, and no version exists that was written without it and has not arrived where the frontier was computed.
func TestFrontierAgainstModel(t *testing.T) {
	const devices = 3
	rapid.Check(t, func(t *rapid.T) {
		var holds, acks [devices]id.Vector
		// past is what each version was written on top of.
		past := map[id.Version]id.Vector{}
		for i := range holds {
			holds[i] = id.Vector{}
		}
		device := rapid.IntRange(0, devices-1)
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				i := device.Draw(t, "at")
				w := writer(byte('a' + i))
				v := id.Version{Writer: w, Gen: holds[i][w] + 1}
				past[v] = holds[i].Clone()
				holds[i].Add(v)
			},
			"pull": func(t *rapid.T) { holds[device.Draw(t, "to")].Merge(holds[device.Draw(t, "from")]) },
			"say":  func(t *rapid.T) { i := device.Draw(t, "who"); acks[i] = holds[i].Clone() },
			"": func(t *rapid.T) {
				for i := range devices {
					var others []id.Vector
					for j := range devices {
						if j != i {
							others = append(others, acks[j])
						}
					}
					stable := delta.Frontier(holds[i], others)
					for v := range past {
						if !stable.Covers(v) {
							continue
						}
						for j := range devices {
							if !holds[j].Covers(v) {
								t.Fatalf("%s is stable at device %d, and device %d lacks it", v, i, j)
							}
						}
						for u, on := range past {
							if u != v && !on.Covers(v) && !past[v].Covers(u) && !holds[i].Covers(u) {
								t.Fatalf("%s is stable at device %d, which lacks %s, written without it", v, i, u)
							}
						}
					}
				}
			},
		})
	})
}
