"""Texts of a first boot in English and Swedish: what is so, and what to do next."""

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "sv"]
LANGUAGES: tuple[Language, ...] = ("en", "sv")


@dataclass(frozen=True, slots=True)
class Advice:
    """One sentence that says what is so, and one that says what to do; the second may be empty."""

    text: str
    advice: str = ""


def advice_for(code: str, language: Language) -> Advice:
    """Return a code's texts; those of "failed" for a code without any."""
    texts = TEXTS[language]
    return texts.get(code, texts["failed"])


def step_name(step: str, language: Language) -> str:
    """Return what a step does, in words."""
    return STEPS[language][step]


STEPS: dict[Language, dict[str, str]] = {
    "en": {
        "invitation": "Reading doorward.json",
        "network": "Joining the network",
        "bundle": "Checking who signed Doorward",
        "data_partition": "Making room for recordings",
        "user": "Making Doorward's user",
        "install": "Installing Doorward; this takes longest",
        "settings": "Writing the settings",
        "clock": "Setting the clock",
        "enrol": "Enrolling with the relay",
        "read_only_system": "Locking the system against power cuts",
        "start": "Starting the doorbell",
    },
    "sv": {
        "invitation": "Läser doorward.json",
        "network": "Ansluter till nätverket",
        "bundle": "Kontrollerar vem som skrev under Doorward",
        "data_partition": "Gör plats för inspelningar",
        "user": "Skapar Doorwards användare",
        "install": "Installerar Doorward; det tar längst tid",
        "settings": "Skriver inställningarna",
        "clock": "Ställer klockan",
        "enrol": "Skriver in sig hos reläet",
        "read_only_system": "Låser systemet mot strömavbrott",
        "start": "Startar dörrklockan",
    },
}

_NEW_CLAIM = "Ask the relay's operator for a new invitation, and put doorward.json onto the card."
_NEW_BUNDLE = "Flash the card anew, with a bundle from a source that you trust."
_NY_INBJUDAN = "Be den som driver reläet om en ny inbjudan, och lägg doorward.json på kortet."
_NYTT_PAKET = "Skriv kortet på nytt, med ett paket från en källa som du litar på."

TEXTS: dict[Language, dict[str, Advice]] = {
    "en": {
        "working": Advice(
            "The doorbell is being set up.",
            "Leave it switched on; this can take ten minutes or more.",
        ),
        "failed": Advice(
            "A step of the set-up fails.", "The line below says why; it is tried again."
        ),
        "invitation_owned": Advice(
            "This doorbell has an owner, so doorward.json on its card is ignored.",
            "Its owner changes the Wi-Fi in the app. Remove the file from the card.",
        ),
        "invitation_refused": Advice(
            "doorward.json on the card can't be used.",
            "Copy it onto the card anew, or ask the relay's operator for a new one.",
        ),
        "no_network_file": Advice(
            "The card names no network.",
            "Plug in a network cable, or put doorward.json with your Wi-Fi onto the card.",
        ),
        "no_wifi_device": Advice("This board has no Wi-Fi that works.", "Plug in a network cable."),
        "wifi_no_country": Advice(
            "Wi-Fi stays off: it doesn't know in which country it is.",
            "Customise the card anew, and name the country, such as SE.",
        ),
        "wifi_wrong_password": Advice(
            "The Wi-Fi network refuses the password.",
            "Put doorward.json with the right password onto the card; capitals count.",
        ),
        "wifi_not_found": Advice(
            "The Wi-Fi network isn't in sight.",
            "Look at its name in the router; bring the doorbell nearer to it.",
        ),
        "wifi_not_found_2_4_ghz": Advice(
            "The Wi-Fi network isn't in sight. This board has 2.4 GHz only.",
            "Switch 2.4 GHz on in the router; look at the network's name there.",
        ),
        "wifi_no_address": Advice(
            "The Wi-Fi network is joined, but gives no address.",
            "Start the router anew; look whether it lets new devices in.",
        ),
        "bundle_missing": Advice(
            "The card has no Doorward to install.", "Flash the card anew, with the bundle."
        ),
        "bundle_signers": Advice(
            "The card doesn't say whose signatures count.", "Flash the card anew."
        ),
        "bundle_signatures": Advice(
            "Too few have signed the Doorward on the card; it isn't installed.", _NEW_BUNDLE
        ),
        "bundle_damaged": Advice(
            "The Doorward on the card is damaged, or was changed; it isn't installed.", _NEW_BUNDLE
        ),
        "bundle_target": Advice(
            "The Doorward on the card is for another board or system.",
            "Flash Raspberry Pi OS Lite, 64-bit, and the bundle for it.",
        ),
        "bundle_same_version": Advice(
            "The Doorward on the card has the version of the installed one, but is another.",
            _NEW_BUNDLE,
        ),
        "bundle_older": Advice(
            "The Doorward on the card is older than the installed one.", "Use a newer bundle."
        ),
        "packages_missing": Advice(
            "System packages are missing that aren't on the card.",
            "Give the doorbell a way to the internet, or flash our own image, which has them.",
        ),
        "settings_refused": Advice(
            "settings.json on the card can't be used.", "Customise the card anew."
        ),
        "no_time": Advice(
            "The doorbell doesn't know the time: is NTP blocked?",
            "Let UDP port 123 out, or put the doorbell behind a router that does.",
        ),
        "no_claim": Advice("The card has no claim.", _NEW_CLAIM),
        "claim_refused": Advice("The claim can't be used.", _NEW_CLAIM),
        "claim_unknown": Advice("The relay doesn't know this claim.", _NEW_CLAIM),
        "claim_used": Advice(
            "Another doorbell has used this claim.",
            f"{_NEW_CLAIM} If you didn't do that, tell the operator: somebody copied the card.",
        ),
        "claim_expired": Advice("The claim is too old.", _NEW_CLAIM),
        "doorbell_revoked": Advice(
            "The relay's operator has revoked this doorbell.", "Reset the doorbell first."
        ),
        "relay_away": Advice(
            "The relay doesn't answer.",
            "Look whether this network reaches it; it is tried again and again.",
        ),
        "relay_not_trusted": Advice(
            "The relay's certificate can't be verified.",
            "Ask the relay's operator; on a guest network, open the page that it wants first.",
        ),
        "relay_other": Advice(
            "Another relay answered than the one that the claim names; nothing was told to it.",
            "Ask the relay's operator, and use another network.",
        ),
        "enrol_failed": Advice("Enrolling with the relay failed.", "It is tried again."),
        "no_camera": Advice(
            "No camera is found.",
            "Switch the doorbell off, and look at both ends of the camera's cable.",
        ),
        "no_camera_22": Advice(
            "No camera is found.",
            "Switch the doorbell off, and look at both ends of the camera's cable. This board "
            "needs a cable with 22 pins at its end.",
        ),
        "weak_supply": Advice(
            "The power supply is too weak.",
            "Use one that gives 5 V and 3 A (5 A for a Pi 5), and a short, thick cable.",
        ),
        "card_full": Advice("The card is full.", "Use a card of 16 GB or more."),
        "card_read_only": Advice(
            "The card can't be written any more: it is locked or worn.", "Take another card."
        ),
        "card_failing": Advice("The card gives errors.", "Take another card."),
        "card_too_small": Advice(
            "The card is too small for a doorbell.", "Use one of at least 16 GB, and flash that."
        ),
        "root_fills_card": Advice(
            "The system has taken the whole card; nothing is left for recordings.",
            "Flash the card anew with doorward-flash, or with Doorward's image.",
        ),
        "unknown_disk": Advice(
            "The card has partitions that are neither Raspberry Pi OS' nor Doorward's.",
            "Flash the card anew with doorward-flash, or with Doorward's image.",
        ),
        "data_partition_foreign": Advice(
            "The card's third partition isn't Doorward's; it is left as it is.",
            "Save what you need of it, and flash the card anew.",
        ),
        "data_partition_damaged": Advice(
            "The card's partition for recordings can't be read.", "Flash another card."
        ),
        "no_root_in_fstab": Advice(
            "The system's list of file systems is damaged.", "Flash the card anew."
        ),
        "system_already_read_only": Advice(
            "The system can't be changed any more.",
            "Log in and run sudo doorward-maintenance rw, or flash the card anew.",
        ),
        "cloud_init_running": Advice(
            "The system's own set-up hasn't ended.", "Leave it switched on; it goes on by itself."
        ),
        "service_failed": Advice("The doorbell doesn't start.", "The line below says why."),
        "done": Advice(
            "The doorbell is set up.",
            "To pair it, hold the service button inside the case for three seconds, and open the "
            "app. Claim and Wi-Fi password were deleted from the card, but deleting doesn't erase "
            "flash: a lost card is a lost Wi-Fi password.",
        ),
    },
    "sv": {
        "working": Advice(
            "Dörrklockan ställs i ordning.", "Låt den vara på; det kan ta tio minuter eller mer."
        ),
        "failed": Advice("Ett steg misslyckas.", "Raden nedan säger varför; det görs om."),
        "invitation_owned": Advice(
            "Dörrklockan har en ägare, så doorward.json på kortet gäller inte.",
            "Ägaren byter wifi i appen. Ta bort filen från kortet.",
        ),
        "invitation_refused": Advice(
            "doorward.json på kortet kan inte användas.",
            "Kopiera den till kortet igen, eller be den som driver reläet om en ny.",
        ),
        "no_network_file": Advice(
            "Kortet nämner inget nätverk.",
            "Anslut en nätverkskabel, eller lägg doorward.json med ditt wifi på kortet.",
        ),
        "no_wifi_device": Advice("Kortdatorn har inget wifi som fungerar.", "Anslut en kabel."),
        "wifi_no_country": Advice(
            "Wifi är av: det vet inte i vilket land det är.",
            "Förbered kortet på nytt och ange landet, till exempel SE.",
        ),
        "wifi_wrong_password": Advice(
            "Wifi-nätet godtar inte lösenordet.",
            "Lägg doorward.json med rätt lösenord på kortet; stora bokstäver räknas.",
        ),
        "wifi_not_found": Advice(
            "Wifi-nätet syns inte.",
            "Se efter vad det heter i routern; flytta dörrklockan närmare.",
        ),
        "wifi_not_found_2_4_ghz": Advice(
            "Wifi-nätet syns inte. Den här kortdatorn har bara 2,4 GHz.",
            "Slå på 2,4 GHz i routern; se efter vad nätet heter där.",
        ),
        "wifi_no_address": Advice(
            "Wifi-nätet är anslutet men ger ingen adress.",
            "Starta om routern; se efter om den släpper in nya enheter.",
        ),
        "bundle_missing": Advice(
            "Kortet har ingen Doorward att installera.", "Skriv kortet på nytt, med paketet."
        ),
        "bundle_signers": Advice(
            "Kortet säger inte vems underskrifter som gäller.", "Skriv kortet på nytt."
        ),
        "bundle_signatures": Advice(
            "För få har skrivit under den Doorward som är på kortet; den installeras inte.",
            _NYTT_PAKET,
        ),
        "bundle_damaged": Advice(
            "Doorward på kortet är skadad eller ändrad; den installeras inte.", _NYTT_PAKET
        ),
        "bundle_target": Advice(
            "Doorward på kortet är för en annan kortdator eller ett annat system.",
            "Använd Raspberry Pi OS Lite, 64 bitar, och paketet för det.",
        ),
        "bundle_same_version": Advice(
            "Doorward på kortet har samma version som den installerade, men är en annan.",
            _NYTT_PAKET,
        ),
        "bundle_older": Advice(
            "Doorward på kortet är äldre än den installerade.", "Använd ett nyare paket."
        ),
        "packages_missing": Advice(
            "Det saknas systempaket som inte finns på kortet.",
            "Ge dörrklockan en väg till internet, eller använd vår egen avbild, som har dem.",
        ),
        "settings_refused": Advice(
            "settings.json på kortet kan inte användas.", "Förbered kortet på nytt."
        ),
        "no_time": Advice(
            "Dörrklockan vet inte vad klockan är: är NTP spärrat?",
            "Släpp ut UDP-port 123, eller använd en router som gör det.",
        ),
        "no_claim": Advice("Kortet har ingen inbjudan.", _NY_INBJUDAN),
        "claim_refused": Advice("Inbjudan kan inte användas.", _NY_INBJUDAN),
        "claim_unknown": Advice("Reläet känner inte till inbjudan.", _NY_INBJUDAN),
        "claim_used": Advice(
            "En annan dörrklocka har använt inbjudan.",
            f"{_NY_INBJUDAN} Var det inte du, säg det: någon har kopierat kortet.",
        ),
        "claim_expired": Advice("Inbjudan är för gammal.", _NY_INBJUDAN),
        "doorbell_revoked": Advice(
            "Den som driver reläet har spärrat dörrklockan.", "Återställ dörrklockan först."
        ),
        "relay_away": Advice(
            "Reläet svarar inte.", "Se efter om nätverket når det; försöken fortsätter."
        ),
        "relay_not_trusted": Advice(
            "Reläets certifikat kan inte kontrolleras.",
            "Fråga den som driver reläet; på ett gästnät, öppna först sidan som det vill visa.",
        ),
        "relay_other": Advice(
            "Ett annat relä svarade än det som inbjudan nämner; det fick inget veta.",
            "Fråga den som driver reläet, och använd ett annat nätverk.",
        ),
        "enrol_failed": Advice("Inskrivningen hos reläet misslyckades.", "Det försöks igen."),
        "no_camera": Advice(
            "Ingen kamera hittas.",
            "Stäng av dörrklockan, och se på båda ändarna av kamerans kabel.",
        ),
        "no_camera_22": Advice(
            "Ingen kamera hittas.",
            "Stäng av dörrklockan, och se på båda ändarna av kamerans kabel. Den här kortdatorn "
            "behöver en kabel med 22 stift.",
        ),
        "weak_supply": Advice(
            "Strömförsörjningen är för svag.",
            "Använd en som ger 5 V och 3 A (5 A till en Pi 5), och en kort, grov kabel.",
        ),
        "card_full": Advice("Kortet är fullt.", "Använd ett kort på 16 GB eller mer."),
        "card_read_only": Advice(
            "Kortet går inte längre att skriva på: det är låst eller slitet.", "Ta ett annat kort."
        ),
        "card_failing": Advice("Kortet ger fel.", "Ta ett annat kort."),
        "card_too_small": Advice(
            "Kortet är för litet för en dörrklocka.", "Använd ett på minst 16 GB, och skriv det."
        ),
        "root_fills_card": Advice(
            "Systemet har tagit hela kortet; inget är kvar för inspelningar.",
            "Skriv kortet på nytt, med Doorwards avbild eller doorward-flash.",
        ),
        "unknown_disk": Advice(
            "Kortet har partitioner som varken är Raspberry Pi OS eller Doorwards.",
            "Skriv kortet på nytt, med Doorwards avbild eller doorward-flash.",
        ),
        "data_partition_foreign": Advice(
            "Kortets tredje partition är inte Doorwards; den lämnas som den är.",
            "Spara det som du behöver av den, och skriv kortet på nytt.",
        ),
        "data_partition_damaged": Advice(
            "Kortets partition för inspelningar går inte att läsa.", "Skriv ett annat kort."
        ),
        "no_root_in_fstab": Advice(
            "Systemets lista över filsystem är skadad.", "Skriv kortet på nytt."
        ),
        "system_already_read_only": Advice(
            "Systemet går inte längre att ändra.",
            "Logga in och kör sudo doorward-maintenance rw, eller skriv kortet på nytt.",
        ),
        "cloud_init_running": Advice(
            "Systemets egen förberedelse är inte klar.",
            "Låt den vara på; det fortsätter av sig självt.",
        ),
        "service_failed": Advice("Dörrklockan startar inte.", "Raden nedan säger varför."),
        "done": Advice(
            "Dörrklockan är klar.",
            "Para ihop den: håll serviceknappen inne i höljet intryckt i tre sekunder, och öppna "
            "appen. Inbjudan och wifi-lösenord är borttagna från kortet, men det raderar inte "
            "minnet: ett borttappat kort är ett borttappat wifi-lösenord.",
        ),
    },
}
