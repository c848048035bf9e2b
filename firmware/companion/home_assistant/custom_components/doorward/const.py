"""Names of the integration."""

DOMAIN = "doorward"
CONF_URL = "url"
CONF_TOKEN = "token"
API_VERSION = 1
RIGHT_RINGS, RIGHT_LIVE, RIGHT_HISTORY, RIGHT_RECORD = "rings", "live", "history", "record"
