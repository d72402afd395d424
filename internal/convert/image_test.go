package convert

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"testing"
)

// profileDigest is the image that Profile makes of the layer of this package's tests. If the bytes change,
// blobs of older versions must not be taken for ours: raise Profile, then put the new digest here.
const profileDigest = "b02adc387995315ab8447252109edc0c8528520aa07223789dff6b79753b55b6"

func TestProfileNamesTheBytes(t *testing.T) {
	f := temp(t)
	if _, err := Layer(bytes.NewReader(archive(t)), f, Options{}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != profileDigest {
		t.Errorf("profile %s made %s, now it makes %s: raise Profile", Profile, profileDigest, got)
	}
}
