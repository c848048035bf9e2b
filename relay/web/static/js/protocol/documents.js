/**
 * The shapes of the documents in firmware/protocol/, as types. No code.
 *
 * @typedef {{credential_id: string, public_key: string, rp_id: string, origin: string}} PasskeyKey
 * @typedef {{credential_id: string, authenticator_data: string, client_data_json: string, signature: string}} Assertion
 * @typedef {{name: string, session_key: string, viewing_key: string}} BrowserKeys
 * @typedef {{name: string, passkey: PasskeyKey, browser: BrowserKeys}} OwnerKeys
 * @typedef {{v: 2, pairing_id: string, nonce: string} & ({owner: OwnerKeys} | {browser: BrowserKeys})} PairingReveal
 * @typedef {{v: 2, pairing_id: string, commitment: string, identity_key: string, sealing_key: string, nonce: string, policy_digest: string, register_origin: string, is_recovery: boolean}} PairingAnswer
 * @typedef {{answer: string, signature: string}} SignedPairingAnswer
 *
 * @typedef {object} EvidenceRequest
 * @property {1} v
 * @property {"doorward/request/v1"} domain
 * @property {string} id
 * @property {string} agency
 * @property {string} officer_id
 * @property {string} officer_name
 * @property {string} cosigner_id
 * @property {string} cosigner_name
 * @property {string} contact
 * @property {string} case_number
 * @property {string} incident_type
 * @property {string} text
 * @property {string[]} cells
 * @property {number} from_ms
 * @property {number} to_ms
 * @property {number} retention_days
 * @property {"none" | "prosecutor"} onward_sharing
 * @property {number} created_ms
 * @property {number} expires_ms
 * @property {string} reason why the window is longer than two hours, or ""
 * @property {string} danger who is in danger, and why, or ""
 * @property {string} [renews] the request that this one renews
 *
 * @typedef {{certificate: string, signature: string}} SignedCertificate
 * @typedef {{request: string, assertion: Assertion, officer: SignedCertificate, cosignature: Assertion, cosigner: SignedCertificate}} SignedRequest
 * @typedef {{v: 1, domain: string, agency: string, officer_id: string, name: string, role: "officer" | "approver" | "records" | "admin", passkey: PasskeyKey, not_after_ms: number}} OfficerCertificate
 * @typedef {{v: 1, domain: "doorward/request-withdrawal/v1", request_digest: string, agency: string, officer_id: string}} Withdrawal
 * @typedef {{id: string, name: string, signing_key: string, sealing_keys: string[], agreement_until_ms: number, cells: string[]}} Agency
 *
 * @typedef {{clip_id: string, manifest_digest: string, from_ms: number, to_ms: number}} ClipRange
 * @typedef {{name: string, address: string, contact: string}} IdentityGiven
 * @typedef {{kind: "grant", request_digest: string, clips: ClipRange[], has_audio: boolean, identity: IdentityGiven, recipient: {agency: string, sealing_keys: string[]}}} GrantTerms
 * @typedef {{kind: "add_owner", pairing_id: string, owner: OwnerKeys, commitment: string}} AddOwner
 * @typedef {"history" | "live" | "record" | "rings"} What
 * @typedef {"guest" | "owner" | "player"} Holder
 * @typedef {{holder: Holder, what: What[], from_ms: number, until_ms: number}} Right `what`: in alphabetical order
 * @typedef {Right & {kind: "give_right", browser: BrowserKeys, commitment: string | null, pairing_id: string | null}} GiveRight `commitment`: null for pasted keys
 * @typedef {{kind: "end_session", browser: string}} EndBrowser
 * @typedef {{kind: "hold", from_ms: number, to_ms: number}} Hold
 * @typedef {{kind: "unhold", hold_digest: string}} Unhold
 * @typedef {{kind: "delete_clips", clips: string[], is_now: boolean}} DeleteClips
 * @typedef {{kind: "undelete", clips: string[]}} Undelete
 * @typedef {{kind: "keep_clips", clips: string[], is_kept: boolean}} KeepClips
 * @typedef {{kind: "export", browser: string}} ExportAll one of the signer's own browsers may fetch everything for a day
 * @typedef {{kind: "end_export", export_digest: string}} EndExport
 * @typedef {{kind: "revoke", grant_digest: string}} Revoke
 * @typedef {{kind: "decline", request_digest: string}} Decline
 * @typedef {{kind: "refuse_agency", agency: string, is_refused: boolean}} RefuseAgency
 * @typedef {{kind: "remove_owner", credential_id: string}} RemoveOwner
 * @typedef {{sealing_key: string, signing_key: string}} RecoveryKeys
 * @typedef {{kind: "recovery", keys: RecoveryKeys}} SetRecovery
 * @typedef {{kind: "add_approver", name: string, key: PasskeyKey}} AddApprover
 * @typedef {{kind: "end_approver", credential_id: string}} EndApprover
 * @typedef {{kind: "confirm", statement_digest: string, answer: "yes" | "no"}} Confirm
 * @typedef {{kind: "knock", statement_digest: string, language: "en" | "sv"}} Knock
 * @typedef {[number, number][]} MaskPolygon corners in thousandths of the picture, from the top left
 * @typedef {{name: string, corners: MaskPolygon}} Zone
 *
 * @typedef {object} OwnerSettings what isn't there is as the doorbell's own file has it
 * @property {number} revision
 * @property {boolean} [is_opted_in]
 * @property {boolean} [has_reminder]
 * @property {string} [cell]
 * @property {MaskPolygon[]} [masks]
 * @property {boolean} [is_motion_on]
 * @property {Zone[]} [zones]
 * @property {number} [sensitivity]
 * @property {number} [min_size_pmyr]
 * @property {number} [min_time_ms]
 * @property {number} [pre_roll_ms]
 * @property {number} [post_roll_ms]
 * @property {number} [longest_ms]
 * @property {number} [keep_days]
 * @property {boolean} [is_sound_in_live_view]
 * @property {boolean} [is_sound_in_clips]
 * @property {boolean} [is_microphone_off]
 * @property {number} [gaps_reported]
 * @property {string} [notice_contact]
 *
 * @typedef {Exclude<keyof OwnerSettings, "revision">} SettingKey
 *
 * @typedef {object} Preferences the same of what needs no passkey
 * @property {string} [name]
 * @property {number} [chime_ms]
 * @property {number} [volume_percent]
 * @property {number} [light_percent]
 * @property {"en" | "sv"} [language]
 * @property {number} [reply_after_s]
 * @property {"faces" | "centre" | "average"} [metering]
 * @property {"auto" | "shadows" | "off"} [backlight]
 *
 * @typedef {{settings: OwnerSettings, preferences: Preferences, mask_count: number, zone_count: number, longest_pre_roll_ms: number, has_sound: boolean, has_light: boolean}} FileSettings
 * @typedef {{kind: "settings", settings: OwnerSettings}} ChangeSettings
 * @typedef {GrantTerms | AddOwner | RemoveOwner | GiveRight | EndBrowser | Hold | Unhold | DeleteClips | Undelete | KeepClips | ExportAll | EndExport | Revoke | Decline | RefuseAgency | ChangeSettings | SetRecovery | AddApprover | EndApprover | Confirm | Knock} Terms
 * @typedef {{v: 1, domain: "doorward/statement/v1", device: string, nonce: string, not_after_ms: number, terms: Terms}} Statement
 * @typedef {{statement: string, assertion: Assertion}} SignedStatement
 *
 * @typedef {"working" | "starting" | "missing" | "busy" | "frozen" | "unsupported" | "off"} CameraState
 * @typedef {"camera" | "camera_gaps" | "card_full" | "card_slow" | "card_failing" | "storage_key" | "sound" | "too_much_motion" | "power_weak" | "too_hot" | "clock_unknown" | "register" | "certificate" | "shard" | "card_cloned"} TroubleCode
 * @typedef {{type: "pressed", camera: CameraState}} Pressed
 * @typedef {{type: "motion", zones: {browser: string, sealed: string}[], names?: string[], box?: number[] | null}} Motion `names` and `box` are opened in this browser
 * @typedef {{type: "trouble", code: TroubleCode, is_over: boolean, detail: string}} Trouble
 * @typedef {{type: "clock_set", from_seq: number, to_seq: number, offset_ms: number}} ClockSet
 * @typedef {{type: "clip_ready", clip_id: string, manifest_digest: string, trigger_event_id: string, more_trigger_ids: string[], started_ms: number, duration_ms: number, pre_roll_ms: number, is_cut_short: boolean}} ClipReady
 * @typedef {{type: "pairing_answered", pairing_id: string, signed: SignedPairingAnswer}} PairingAnswered
 * @typedef {{type: "paired", pairing_id: string, credential_id: string}} Paired
 * @typedef {{type: "owner_gone", credential_id: string}} OwnerGone
 * @typedef {{type: "guest_let", pairing_id: string | null, browser: string, what: What[], until_ms: number}} GuestLet
 * @typedef {{type: "guest_gone", browser: string}} GuestGone
 * @typedef {{type: "note", credential_id: string, browser: string, sealed: string}} Note
 * @typedef {{type: "package_ready", package_id: string, request_id: string}} PackageReady
 * @typedef {{type: "package_uploaded", package_id: string}} PackageUploaded
 * @typedef {Pressed | Motion | Trouble | ClockSet | ClipReady | PairingAnswered | Paired | OwnerGone | GuestLet | GuestGone | Note | PackageReady | PackageUploaded} EventBody
 * @typedef {{v: 1, id: string, device: string, seq: number, time_ms: number, is_clock_trusted: boolean, body: EventBody}} DoorbellEvent
 *
 * @typedef {object} Health
 * @property {number} measured_ms
 * @property {CameraState} camera
 * @property {number} fps_milli
 * @property {number} max_fps
 * @property {number} gap_count between pictures, in the last ten minutes
 * @property {number} longest_gap_ms
 * @property {number | null} temperature_milli_c
 * @property {boolean | null} has_weak_power
 * @property {boolean | null} had_weak_power
 * @property {boolean | null} is_throttled
 * @property {number | null} card_free_bytes
 * @property {number | null} card_total_bytes
 * @property {number | null} sync_p99_ms
 * @property {number | null} signal_dbm
 * @property {boolean} is_clock_trusted
 * @property {number | null} memory_free_bytes
 * @property {number} clip_count
 * @property {number | null} oldest_clip_ms
 * @property {number | null} pre_roll_ms
 * @property {number | null} pre_roll_set_ms
 * @property {number | null} [holds_days] days of clips that the card holds, as they come now
 *
 * @typedef {{type: "nothing"}} Nothing
 * @typedef {{request_id: string, request_digest: string, agency_name: string, is_emergency: boolean, is_reminder: boolean, is_example: boolean}} MatchedRequest
 * @typedef {{type: "requests_matched", requests: MatchedRequest[]}} RequestsMatched
 * @typedef {{type: "statement_done", statement_digest: string, kind: string, about?: string | null}} StatementDone
 * @typedef {{type: "settings_now", statement_digest: string, settings: OwnerSettings | null, at_ms: number}} SettingsNow
 * @typedef {{type: "refused_now", statement_digest: string, refused: string[]}} RefusedNow
 * @typedef {{type: "preferences_now", preferences: Preferences, file: FileSettings, at_ms: number, after_restart: string[]}} PreferencesNow
 * @typedef {{type: "door_notice_now", notice_id: string | null, since_ms: number}} DoorNoticeNow
 * @typedef {{hold_digest: string, from_ms: number, to_ms: number, until_ms: number}} HeldTime
 * @typedef {{type: "holds_now", statement_digest: string, holds: HeldTime[]}} HoldsNow
 * @typedef {{type: "clips_decided", statement_digest: string, what: "deleted" | "erased" | "restored" | "kept" | "let_go", by_name: string, clips: string[], until_ms?: number}} ClipsDecided
 * @typedef {{type: "export_now", statement_digest: string, export_digest: string, state: "began" | "complete" | "stopped" | "over", by_name: string, browser_name: string, until_ms: number}} ExportNow
 * @typedef {{type: "owner_removed", name: string, by_name: string}} OwnerRemoved
 * @typedef {{type: "moved_out", name: string, credential_id: string, at_ms: number, browsers: number, guests: number}} MovedOut
 * @typedef {{type: "recovery_used", name: string, at_ms: number}} RecoveryUsed
 * @typedef {{type: "confirmation_wanted", statement_digest: string, door_page: string, batch_ms: number | null}} ConfirmationWanted
 * @typedef {{type: "statement_refused", statement_digest: string, reason: string, detail: string}} StatementRefused
 * @typedef {{type: "released", statement_digest: string, request_digest: string, package_id: string}} ReleaseDone
 * @typedef {{type: "watching_began", session_id: string, name: string, browser_name: string, holder: Holder, at_ms: number}} WatchingBegan
 * @typedef {{type: "watching_ended", session_id: string, at_ms: number, has_talked: boolean}} WatchingEnded
 * @typedef {Right & {type: "browser_enrolled", browser: string, name: string, by_name: string}} BrowserEnrolled
 * @typedef {{type: "browser_ended", browser: string, name: string}} BrowserEnded
 * @typedef {{type: "door_locked", wrong_total: number, until_ms: number | null, needs_button: boolean}} DoorLocked
 * @typedef {{type: "door_link", url: string, until_ms: number | null, refused: "" | "unlocked" | "needs_button"}} DoorLink
 * @typedef {{type: "wifi_tried", name: string, reason: "" | "wrong_password" | "not_found" | "failed" | "no_relay" | "broken_off" | "no_helper" | "storage", at_ms: number}} WifiTried
 * @typedef {Nothing | RequestsMatched | StatementDone | SettingsNow | RefusedNow | PreferencesNow | DoorNoticeNow | HoldsNow | ClipsDecided | ExportNow | OwnerRemoved | MovedOut | RecoveryUsed | ConfirmationWanted | StatementRefused | ReleaseDone | WatchingBegan | WatchingEnded | BrowserEnrolled | BrowserEnded | DoorLocked | DoorLink | WifiTried} NoteBody
 * @typedef {{device: string, id: string, told_ms: number, sealing_key: string, body: NoteBody}} OwnerNote
 * @typedef {{v: 1, key: string, since_ms: number, told_ms: number, contact: string, shape_permille: number, masks: [number, number][][], is_motion_recorded: boolean, pre_roll_ms: number, post_roll_ms: number, longest_ms: number, keep_days: number, is_sound_recorded: boolean, is_sound_live: boolean, recorders: number}} DoorNotice
 *
 * @typedef {{text: string, signature: string}} SignedLive
 * @typedef {{v: 1, domain: "doorward/live-offer/v1", device: string, session_id: string, nonce: string, browser: string, purpose: "live" | "clips" | "mirror" | "rings", hears: boolean, sdp: string}} LiveOffer
 * @typedef {{v: 1, domain: "doorward/live-candidates/v1", device: string, session_id: string, nonce: string, browser: string, number: number, candidates: string[], is_last: boolean}} LiveCandidates
 * @typedef {{v: 1, domain: "doorward/live-answer/v1", device: string, session_id: string, nonce: string, offer_digest: string, offer_fingerprints: string[], answer_fingerprints: string[], expires_ms: number, lasts_s: number, sdp: string}} LiveAnswer
 * @typedef {{from_minute: number, to_minute: number, time_zone: string}} QuietHours
 * @typedef {{minute: number, time_zone: string}} DailyTime
 * @typedef {"pressed" | "motion" | "emergency"} PushKind
 * @typedef {{type: "set_push", p256dh: string, auth: string, kinds: PushKind[], quiet: QuietHours | null, summary: DailyTime | null, silent_after_minutes: number | null}} SetPush
 * @typedef {{type: "end_push"} | {type: "snooze_push", minutes: number} | {type: "want_door_link"} | {type: "set_preference", preferences: Preferences, default_reply: string | null} | {type: "play_reply", event_id: string, reply_id: string | null} | SetPush} OrderBody
 * @typedef {{v: 1, domain: "doorward/browser-order/v1", device: string, nonce: string, browser: string, body: OrderBody}} BrowserOrder
 *
 * @typedef {{v: 1, domain: "doorward/thumbnail/v1", device: string, event_id: string, taken_ms: number, age_ms: number, jpeg_sha256: string}} PictureFacts
 * @typedef {{browser: string, sealed: string}} WrappedKey
 *
 * @typedef {{first_pts_90k: number, unit_count: number, leaf: string}} Gop
 * @typedef {{event_id: string, kind: "pressed" | "motion", at_90k: number}} ClipTrigger
 * @typedef {{first_pts_90k: number, unit_count: number, leaf: string}} SoundSpan
 * @typedef {{codec: "aac-lc", sample_rate_hz: 48000, channels: 1, lost_90k: number, spans: SoundSpan[], root: string}} SoundTrack
 *
 * @typedef {object} ClipManifest
 * @property {string} clip_id
 * @property {string} device
 * @property {string} boot_id
 * @property {number} counter
 * @property {number} started_ms
 * @property {boolean} is_clock_trusted
 * @property {number} duration_90k
 * @property {number} width
 * @property {number} height
 * @property {number} pre_roll_90k
 * @property {"complete" | "cut_short"} ended
 * @property {number} lost_units
 * @property {string} mask_digest
 * @property {ClipTrigger[]} triggers
 * @property {Gop[]} gops
 * @property {string} video_root
 * @property {SoundTrack} [sound] left out where none was recorded
 * @property {{count: number, longest_90k: number}} [gaps] between pictures, where the camera skipped some
 * @property {90 | 180 | 270} [rotation] by how many degrees clockwise the pictures are turned to be shown; left out where they aren't
 * @property {string} [witnessed] the newest checkpoint that was known when it began, as a note
 *
 * @typedef {{manifest: string, signature: string}} SignedManifest
 * @module
 */
export {};
