//! DER in, DER out: certificate requests, certificates, CRLs, OCSP and the lint. Knows no record.
