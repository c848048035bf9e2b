"""The public record: both logs' facts about agencies, as pages and files for people.

Every figure is counted from entries that witnesses have signed and that everybody can fetch, and
names them. Nothing is counted from the relay's private rows: how many doorbells there are, who was
asked, who declined and when somebody decided can't come out here, because it doesn't come in.
"""
