"""All series that a relay serves at /metrics, as text."""

from relay.base.metrics import Figures, LogFigures, Metrics, RowFigures, StreamFigures


def text_of_all_metrics() -> str:
    """Return what is served once each metric has been counted, in Prometheus's text format."""
    metrics = Metrics()
    metrics.judged("admitted")
    metrics.written(0.1, 0.1)
    metrics.answered({"type": "http", "method": "GET", "path": "/", "headers": []}, 200, 0.1)
    metrics.take(
        Figures(
            parts_up={"broker": True},
            shard_directory_days_left=None,
            backup_age_s=None,
            disk_free_bytes=0,
            oldest_write_s=0.0,
            open_streams=0,
            streams={
                "DW_EVENTS": StreamFigures(waiting=0, redelivered=0, oldest_s=0.0, has_leader=True)
            },
            rows=RowFigures(
                commands_waiting=0,
                pushes_waiting=0,
                doorbells=0,
                doorbells_online=0,
                doorbells_cloned=0,
                doorbell_certificates_ending=0,
                doorbell_claims_replayed=0,
                moderation_waiting=0,
                moderation_oldest_s=0.0,
                agreement_days_left=None,
                agreement_texts_unfit=0,
                database_bytes=0,
                logs={
                    "custody": LogFigures(
                        size=0, published_size=0, age_s=0, witness_age_s={"ann": 0}
                    )
                },
            ),
        )
    )
    return metrics.text().decode()
