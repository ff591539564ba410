"""Scenario files: what they may say, loading them, and every problem in them at once.

How to walk a scenario (instants and spans are whole microseconds, counted from the end of the lead-in):

    from simroom.scenario.load import ScenarioError, load

    scenario = load(Path("scenarios/standup.yaml"), overrides=["seed=7"])
    settings = scenario.scheduler.settings()
    for room in scenario.rooms:
        for room_name in room.names():
            for member in room.roster():
                print(f"{room_name}/{member.name}", member.speaks, member.preferred_lang, member.talks, member.joins)
                for event in member.events:
                    print(event.at or event.every, event.action)
        match room.speech:
            case TurnTaking(utterance=length, silence=silence, overlap=overlap, longest=longest): ...
            case Meeting(meeting=reference, start=start, end=end, shift=shift, longest=longest):
                segments = read_rttm(scenario.path(reference))
            case Script(script=lines): ...
            case Silent(): ...
    for group in scenario.sessions:
        for session_name in group.names():
            print(session_name, group.src_lang, group.tgt_lang, group.speech)
    for group in scenario.nodes:
        for node_name in group.names():
            print(node_name, group.slots, group.gpu, group.service, pairs_of(scenario, group))
    for fault in scenario.faults:
        print(fault.kind, fault.at or fault.every or fault.window(scenario.duration), fault.action)
    for line in scenario.script:
        print(line.at, line.kind, line.action)
    for expectation in scenario.expect:
        print(expectation.line, expectation.text)
"""
