package convert

import "github.com/laminafs/lamina/internal/store"

// IndexProfile names the bytes of tar indexes that IndexedTar and Index make with the zero Options.
const IndexProfile = Profile + "-index"

// LayerProfiles are the profiles of blobs that are the layer with the diffID in their key, the best first.
var LayerProfiles = []string{Profile, IndexProfile, store.ProfileNative}
