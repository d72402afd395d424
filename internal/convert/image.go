package convert

// Profile names the bytes that Layer makes of a layer with the zero Options. It changes when they do,
// so that blobs of an older version are never taken for those of this one.
const Profile = "2"
