//! Reads exports of the national registers into dated rows. Knows no store.
