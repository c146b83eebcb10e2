package chunk

const goldenGear = "fa99fe18ed8ed558f48e7dce92b9a8fcb871d198719ae3825da6f9560effd80a"

const goldenFirst = uint64(15118483322394496)

var goldenLengths = []int{54800, 68845, 106500, 43657, 80958, 55395, 58884, 58731, 62197, 10033}

var goldenRefs = map[int]string{
	0:       "blob1-6a2db3668acae77e715495a1bf2f7082bf7d4446ba7ce9fd96536b25d42a45dd",
	1:       "blob1-fb0d1e04fb0311b53a0f6fa9e004f1d71d55bbfeba9152205e218a8e6d054066",
	1 << 20: "blob1-cda262c928cce81e39c800a6f63d6afa1d6d88d7bfd74472f2cda8c5ad5dfe50",
}
