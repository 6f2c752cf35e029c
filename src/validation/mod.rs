//! Asks the outside world whether a client controls what it names. Holds no secret and no record.
