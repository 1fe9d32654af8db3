package kindred

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// Limits of the public contract. Sizes are in bytes.
const (
	BucketBytesMax      = 255
	KeyBytesMax         = 4 << 10
	ValueBytesMax       = 8 << 20
	ContentTypeBytesMax = 255
	ContextBytesMax     = 1 << 20
	// ObjectBytesMax bounds one key with all its siblings.
	ObjectBytesMax = 32 << 20
	// SiblingsWarn is the number of siblings above which a node warns.
	SiblingsWarn = 64
	// SiblingsMax is the number of siblings at which a blind put is refused.
	// A put with a context is never refused for it: it is the way out.
	SiblingsMax = 1024
	// BatchMax is the number of operations in one batch.
	BatchMax = 1000
	// ScanPageMax is the number of keys in one page of a scan.
	ScanPageMax = 1000
	// ReplicasMax is the largest n a bucket may ask for.
	ReplicasMax = 16
	// ExpiryUnixMax is the latest second, counted from 1970, at which a value can
	// expire: four digits hold its year.
	ExpiryUnixMax = 253402300799
)

// CheckName reports what is wrong with a bucket and key, or nil.
func CheckName(bucket, key string) *Error {
	if err := CheckBucket(bucket); err != nil {
		return err
	}
	switch {
	case key == "":
		return Invalid("key", "the key is empty; a key has 1 to %d bytes", KeyBytesMax)
	case len(key) > KeyBytesMax:
		return TooLarge("key", KeyBytesMax, len(key), "use a shorter key, for instance a hash of the long one")
	}
	return nil
}

// CheckBucket reports what is wrong with a bucket name, or nil.
func CheckBucket(bucket string) *Error {
	switch {
	case bucket == "":
		return Invalid("bucket", "the bucket name is empty; it has 1 to %d bytes", BucketBytesMax)
	case len(bucket) > BucketBytesMax:
		return TooLarge("bucket", BucketBytesMax, len(bucket), "use a shorter bucket name")
	case !utf8.ValidString(bucket):
		return Invalid("bucket", "the bucket name is not valid UTF-8; keys may hold any bytes, bucket names may not")
	}
	return nil
}

// CheckValue reports what is wrong with a value and its content type, or nil.
func CheckValue(value []byte, contentType string) *Error {
	if len(value) > ValueBytesMax {
		return TooLarge("value", ValueBytesMax, len(value), "split the value over several keys")
	}
	if len(contentType) > ContentTypeBytesMax {
		return TooLarge("content_type", ContentTypeBytesMax, len(contentType), "use a shorter content type")
	}
	if !utf8.ValidString(contentType) {
		return Invalid("content_type", "the content type is not valid UTF-8")
	}
	for i := range len(contentType) {
		if c := contentType[i]; c < 0x20 || c == 0x7f {
			return Invalid("content_type", "the content type holds the control character %q", c)
		}
	}
	return nil
}

// CheckExpiry reports what is wrong with the expiry that a request asks for, or
// nil. Whether ExpiresAt is still to come only its coordinator can say.
func CheckExpiry(r *Request) *Error {
	switch {
	case r.TTL == 0 && r.ExpiresAt.IsZero():
		return nil
	case r.Op != OpPut:
		return Invalid("ttl", "a %s has no expiry: only a put has", r.Op)
	case r.TTL != 0 && !r.ExpiresAt.IsZero():
		return Invalid("ttl", "ttl and expires_at exclude each other: give one of them")
	case r.TTL < 0 || r.TTL > 0 && r.TTL < time.Millisecond:
		return Invalid("ttl", "ttl=%v is too short: use at least 1ms, or leave it out for a value that stays", r.TTL)
	case r.ExpiresAt.Unix() > ExpiryUnixMax:
		return Invalid("expires_at", "expires_at is after the year 9999: leave it out for a value that stays")
	}
	return nil
}

// Invalid is a request that can never succeed as it stands.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Field: field, Message: fmt.Sprintf(format, args...), Outcome: NotApplied}
}

// TooLarge is a field beyond its limit; fix says what to do instead.
func TooLarge(field string, limit, got int, fix string) *Error {
	return &Error{
		Code: CodeTooLarge, Field: field, Limit: int64(limit), Outcome: NotApplied,
		Message: fmt.Sprintf("%s has %d bytes, the limit is %d: %s", field, got, limit, fix),
	}
}
