//! The fields of a row under all the names that the registers' exports give them: attributes of the code service's XML and
//! JSON, and columns of tables.

/// What a value of an export says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Oid,
    Parent,
    BusinessId,
    NameFi,
    NameSv,
    Abbreviation,
    Municipality,
    Sector,
    Kind,
    /// A mark `T` or `F`, which makes up the kind with others of its sort.
    Mark(Mark),
    Status,
    ValidFrom,
    ValidTo,
}

/// What a row is marked as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    HealthOperating,
    SocialOperating,
    HealthService,
    SocialService,
}

impl Mark {
    /// The register's own word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Mark::HealthOperating => "Terv.toimintayksikkö",
            Mark::SocialOperating => "Sos.toimintayksikkö",
            Mark::HealthService => "Terv.palveluyksikkö",
            Mark::SocialService => "Sos.palveluyksikkö",
        }
    }
}

/// Every name that means something to us, in lower case.
const NAMES: &[(&str, Field)] = &[
    ("oid", Field::Oid),
    ("tunniste", Field::Oid),
    ("conceptcodeid", Field::Oid),
    ("parent", Field::Parent),
    ("parentid", Field::Parent),
    ("ylempi yksikkö", Field::Parent),
    ("business_id", Field::BusinessId),
    ("y-tunnus", Field::BusinessId),
    ("ytunnus", Field::BusinessId),
    ("apteekkariytunnus", Field::BusinessId),
    ("longname", Field::NameFi),
    ("name_fi", Field::NameFi),
    ("pitkä nimi", Field::NameFi),
    ("name_sv", Field::NameSv),
    ("långt namn", Field::NameSv),
    ("abbreviation", Field::Abbreviation),
    ("lyhenne", Field::Abbreviation),
    ("municipality", Field::Municipality),
    ("sijainti kunta", Field::Municipality),
    ("sector", Field::Sector),
    ("sektori", Field::Sector),
    ("kind", Field::Kind),
    ("apteekkityyppi", Field::Kind),
    ("terv.toimintayksikkö", Field::Mark(Mark::HealthOperating)),
    ("sos.toimintayksikkö", Field::Mark(Mark::SocialOperating)),
    ("terv.palveluyksikkö", Field::Mark(Mark::HealthService)),
    ("sos.palveluyksikkö", Field::Mark(Mark::SocialService)),
    ("status", Field::Status),
    ("valid_from", Field::ValidFrom),
    ("begindate", Field::ValidFrom),
    ("voimassaolo alkaa", Field::ValidFrom),
    ("valid_to", Field::ValidTo),
    ("expirationdate", Field::ValidTo),
    ("voimassaolo päättyy", Field::ValidTo),
];

impl Field {
    /// The field of this name, whatever its case; none if the name means nothing to us.
    pub(super) fn named(name: &str) -> Option<Self> {
        let lower = name.trim().to_lowercase();
        NAMES.iter().find(|(known, _)| *known == lower).map(|(_, field)| *field)
    }

    /// The field of a name whose value is in `language`, where the export says so.
    pub(super) fn in_language(name: &str, language: Option<&str>) -> Option<Self> {
        match (Field::named(name)?, language.map(str::to_lowercase).as_deref()) {
            (Field::NameFi, Some("sv")) => Some(Field::NameSv),
            (Field::NameFi | Field::NameSv | Field::Abbreviation, Some(other))
                if !matches!(other, "fi" | "sv" | "") =>
            {
                None
            }
            // Of abbreviations one is kept, and it is the Finnish one.
            (Field::Abbreviation, Some("sv")) => None,
            (field, _) => Some(field),
        }
    }

    /// How a fault of the field is introduced.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Field::Oid => "oid",
            Field::Parent => "parent",
            Field::BusinessId => "business_id",
            Field::NameFi => "name_fi",
            Field::NameSv => "name_sv",
            Field::Abbreviation => "abbreviation",
            Field::Municipality => "municipality",
            Field::Sector => "sector",
            Field::Kind => "kind",
            Field::Mark(mark) => mark.as_str(),
            Field::Status => "status",
            Field::ValidFrom => "valid_from",
            Field::ValidTo => "valid_to",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_registers_are_known_whatever_their_case() {
        for (name, field) in [
            ("Tunniste", Field::Oid),
            ("Pitkä nimi", Field::NameFi),
            ("PITKÄ NIMI", Field::NameFi),
            ("Y-Tunnus", Field::BusinessId),
            ("ApteekkariYtunnus", Field::BusinessId),
            ("Voimassaolo päättyy", Field::ValidTo),
            ("Terv.palveluyksikkö", Field::Mark(Mark::HealthService)),
        ] {
            assert_eq!(Field::named(name), Some(field), "{name}");
        }
        assert_eq!(Field::named("ApteekkariOID"), None);
    }

    #[test]
    fn a_name_in_another_language_is_no_finnish_name() {
        assert_eq!(Field::in_language("longname", Some("sv")), Some(Field::NameSv));
        assert_eq!(Field::in_language("longname", Some("fi")), Some(Field::NameFi));
        assert_eq!(Field::in_language("longname", None), Some(Field::NameFi));
        assert_eq!(Field::in_language("longname", Some("en")), None);
        assert_eq!(Field::in_language("Y-Tunnus", Some("en")), Some(Field::BusinessId));
    }
}
